/// Writing transaction markers into the partitions that this broker leads, and waiting until every
/// in-sync replica has them.
import Groups
import KafkaMessages
import KafkaProtocol
import Records
import Values

/// One request's markers. Confined to the loop that it is started on.
final class MarkerOperation: WaitingRequest {
  typealias Marker = WriteTxnMarkersRequest.WritableTxnMarker
  typealias Answer = WriteTxnMarkersResponse.WritableTxnMarkerResult

  /// One marker in one partition.
  private struct Row {
    var marker: Int
    var at: TopicPartition
    var error: ErrorCode = .none
  }
  private struct Wait {
    var row: Int
    var partition: Partition
    var endOffset: Offset
    var epoch: LeaderEpoch
  }

  private let markers: [Marker]
  private let services: BrokerServices
  private let completion: ([Answer]) -> Void
  private var rows: [Row] = []
  private var waits: [Wait] = []

  private init(
    _ markers: [Marker], _ services: BrokerServices, _ completion: @escaping ([Answer]) -> Void
  ) {
    self.markers = markers
    self.services = services
    self.completion = completion
  }

  /// - Parameter completion: called once, on the loop, with an answer for each marker in order.
  static func start(
    _ markers: [Marker], on loop: BrokerLoop, completion: @escaping ([Answer]) -> Void
  ) {
    let operation = MarkerOperation(markers, loop.services, completion)
    operation.appendAll(on: loop)
    if operation.waits.isEmpty { return operation.finish() }
    let timeoutMs = loop.services.config.network.requestTimeoutMs
    loop.wait(
      operation, on: operation.waits.map(\.partition),
      until: loop.now.advanced(milliseconds: timeoutMs))
  }

  private func appendAll(on loop: BrokerLoop) {
    for (place, marker) in markers.enumerated() {
      for topic in marker.topics {
        for number in topic.partitionIndexes {
          rows.append(Row(marker: place, at: TopicPartition(topic.name, number)))
          do throws(PartitionFailure) {
            try append(marker, rows.count - 1, on: loop)
          } catch {
            rows[rows.count - 1].error = error.code
          }
        }
      }
    }
  }

  private func append(
    _ marker: Marker, _ row: Int, on loop: BrokerLoop
  ) throws(PartitionFailure) {
    let at = rows[row].at
    guard let partition = services.partitions[at] else { throw services.missing(at) }
    let batch: [UInt8]
    do throws(RecordError) {
      batch = try EndTransactionMarker(
        isCommit: marker.transactionResult, coordinatorEpoch: marker.coordinatorEpoch
      ).batch(
        producerID: marker.producerID, producerEpoch: marker.producerEpoch,
        timestamp: loop.wallNow.milliseconds)
    } catch {
      throw PartitionFailure(.unknownServerError, "\(error)")
    }
    let appended = try CoordinatorLog.append(
      batch, to: partition, epoch: nil, role: .marker(ProducerID(marker.producerID)), services,
      on: loop)
    if appended.isReplicated { return }
    waits.append(
      Wait(
        row: row, partition: partition, endOffset: appended.result.lastOffset + 1,
        epoch: appended.epoch))
  }

  // MARK: Waiting

  func isDone(on loop: BrokerLoop) -> Bool {
    waits.removeAll { wait in
      switch wait.partition.replicationOutcome(upTo: wait.endOffset, epoch: wait.epoch) {
      case nil: return false
      case .success: return true
      case .failure(let failure):
        rows[wait.row].error = failure.code
        return true
      }
    }
    guard waits.isEmpty else { return false }
    finish()
    return true
  }

  func expire(on loop: BrokerLoop) {
    for wait in waits { rows[wait.row].error = .requestTimedOut }
    waits = []
    finish()
  }

  private func finish() {
    tellGroups()
    var answers = markers.map { marker in Answer { $0.producerID = marker.producerID } }
    for row in rows {
      if answers[row.marker].topics.last?.name != row.at.topic {
        answers[row.marker].topics.append(
          WriteTxnMarkersResponse.WritableTxnMarkerTopicResult { $0.name = row.at.topic })
      }
      let last = answers[row.marker].topics.count - 1
      answers[row.marker].topics[last].partitions.append(
        WriteTxnMarkersResponse.WritableTxnMarkerPartitionResult {
          $0.partitionIndex = row.at.partition
          $0.errorCode = row.error.rawValue
        })
    }
    completion(answers)
  }

  /// Offsets in a transaction count, or never will, once its marker is in their partition.
  private func tellGroups() {
    for row in rows where row.error == .none && row.at.topic == InternalTopics.offsets {
      let marker = markers[row.marker]
      services.groups?.transactionEnded(
        ProducerID(marker.producerID), isCommitted: marker.transactionResult,
        partition: row.at.partition)
    }
  }
}
