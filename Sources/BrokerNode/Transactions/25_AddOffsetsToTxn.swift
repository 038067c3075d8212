/// AddOffsetsToTxn, key 25, versions 0–4.
///
/// Takes the partition of `__consumer_offsets` that keeps a group into a producer's transaction, so
/// that the group's offsets can be committed with it.
/// - Version 2 is the first whose clients know PRODUCER_FENCED.
import Groups
import KafkaMessages
import KafkaProtocol
import Transactions
import Values

enum AddOffsetsToTxnHandler: ApiHandler {
  static func handle(_ request: AddOffsetsToTxnRequest, _ context: RequestContext) {
    let (pending, version) = (context.park(), context.version)
    let partition = GroupPartitioner.partition(
      for: request.groupID, count: GroupCoordinator.partitionCount(context.services))
    let command = TransactionCommand(
      request.transactionalID,
      ProducerIdentity(ProducerID(request.producerID), epoch: request.producerEpoch))
    let at = TopicPartition(InternalTopics.offsets, partition)
    TransactionCoordinator.withShard(of: request.transactionalID, context) { host in
      host.submit({ .addPartitions(command, [at], $0) }) { reply in
        guard case .addPartitions(let error) = reply else { return }
        let told = TransactionApis.told(error, version: version, fencedSince: 2)
        pending.send(AddOffsetsToTxnResponse { $0.errorCode = told.rawValue })
      }
    } else: { error in
      pending.send(AddOffsetsToTxnResponse { $0.errorCode = error.rawValue })
    }
  }
}
