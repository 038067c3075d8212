// AllocateProducerIds (67, version 0) in KRaft mode.
import KafkaMessages
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

extension AllocateProducerIdsRequest: ControllerRequest {
  public func refused(_ refusal: Refusal, version: Int16) -> AllocateProducerIdsResponse {
    .init { $0.errorCode = refusal.code.rawValue }
  }

  /// The block counts as used up as soon as it is given away: what a broker that dies has left of
  /// it is lost, never given twice.
  public func decide(
    _ machine: inout QuorumController, _ context: RequestContext
  ) -> QuorumController.Outcome<AllocateProducerIdsResponse> {
    do throws(Refusal) {
      let broker = try machine.checkSender(brokerID, brokerEpoch)
      let decision = try machine.pending.decide(
        AllocateProducerIDs(broker.id, epoch: broker.epoch))
      return .init(
        decision.records,
        .init {
          $0.producerIDStart = decision.reply
          $0.producerIDLen = Int32(AllocateProducerIDs.blockSize)
        })
    } catch {
      return .init(refused(error, version: context.version))
    }
  }
}
