// Producer ids (AllocateProducerIds, KIP-730).
import Decision
import KafkaProtocol
import KafkaRecords
import Metadata
import Values

/// A broker wants a block of producer ids to hand out (AllocateProducerIds).
public struct AllocateProducerIDs: Sendable {
  public var broker: BrokerID
  public var epoch: BrokerEpoch
  public init(_ broker: BrokerID, epoch: BrokerEpoch) {
    self.broker = broker
    self.epoch = epoch
  }

  /// Ids in a block.
  public static let blockSize: Int64 = 1000
}

extension Controller {
  /// The reply is the first id of the block. The block counts as used up as soon as it is given
  /// away: what a broker that dies has left of it is lost, never given twice.
  public func decide(
    _ command: AllocateProducerIDs
  ) throws(Refusal) -> Decision<MetadataRecord, Int64> {
    guard let broker = image.brokers[command.broker] else {
      throw Refusal(.brokerIDNotRegistered)
    }
    guard broker.epoch == command.epoch else { throw Refusal(.staleBrokerEpoch) }
    let start = image.nextProducerID
    guard start <= Int64.max - AllocateProducerIDs.blockSize else {
      throw Refusal(.unknownServerError, "Have exhausted all producerIds.")
    }
    var record = ProducerIdsRecord()
    record.brokerID = command.broker.rawValue
    record.brokerEpoch = command.epoch.rawValue
    record.nextProducerID = start + AllocateProducerIDs.blockSize
    return Decision([.producerIDs(record)], reply: start)
  }
}
