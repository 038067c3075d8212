// From committed batches of records to images, with transactions.
import KafkaRecords
import Values

/// Builds the image from what was committed: a snapshot, then batches in the order of offsets.
///
/// Records between BeginTransactionRecord and EndTransactionRecord count as one: until the end is
/// there none of them is in the image, and AbortTransactionRecord drops them (KIP-868). So a reader
/// never sees half of a transaction, be it because the controller died in its middle.
public struct MetadataLoader: Sendable {
  public private(set) var image: MetadataImage
  /// The last offset that was taken in; -1 if nothing was.
  public private(set) var lastOffset: Offset
  public private(set) var lastEpoch: Int32

  /// Offset of the record that began the transaction under way; nil outside of transactions.
  public private(set) var transactionStart: Offset?
  private var buffered: [MetadataRecord] = []
  /// Whether no record at all has taken effect: the log of a new cluster, or one whose first
  /// transaction never came to its end.
  public private(set) var isEmpty: Bool

  public init() { self.init(MetadataImage(), lastOffset: -1, epoch: -1, isEmpty: true) }

  public init(_ image: MetadataImage, lastOffset: Offset, epoch: Int32, isEmpty: Bool) {
    self.image = image
    self.lastOffset = lastOffset
    lastEpoch = epoch
    self.isEmpty = isEmpty
  }

  /// Everything up to here is in the image; less than `lastOffset` only during a transaction.
  public var stableOffset: Offset { transactionStart.map { $0 - 1 } ?? lastOffset }

  /// Takes in one committed batch.
  /// - Parameters:
  ///   - lastOffset: of the batch; its records have consecutive offsets up to it. Batches that
  ///     hold control records only are passed without records, to move the offset.
  public mutating func apply(_ records: [MetadataRecord], lastOffset: Offset, epoch: Int32) {
    for record in effective(records, lastOffset) { image.apply(record) }
    self.lastOffset = lastOffset
    lastEpoch = epoch
  }

  /// The same, and says what changed: nothing while a transaction goes on, all of it at its end.
  public mutating func delta(
    applying records: [MetadataRecord], lastOffset: Offset, epoch: Int32
  ) -> MetadataDelta {
    let delta = MetadataDelta(image, applying: effective(records, lastOffset))
    image = delta.image
    self.lastOffset = lastOffset
    lastEpoch = epoch
    return delta
  }

  /// The records that take effect with this batch: those outside of transactions, and those of the
  /// transactions that end in it.
  private mutating func effective(
    _ records: [MetadataRecord], _ lastOffset: Offset
  ) -> [MetadataRecord] {
    if transactionStart == nil, !records.contains(where: \.isTransactionMarker) {
      isEmpty = isEmpty && records.isEmpty
      return records
    }
    var effective: [MetadataRecord] = []
    var offset = lastOffset - Offset(records.count)
    for record in records {
      offset += 1
      switch record {
      case .beginTransaction:
        buffered.removeAll()
        transactionStart = offset
      case .endTransaction:
        effective += buffered
        endTransaction()
      case .abortTransaction: endTransaction()
      default:
        if transactionStart != nil {
          buffered.append(record)
        } else {
          effective.append(record)
        }
      }
    }
    isEmpty = isEmpty && effective.isEmpty
    return effective
  }

  /// Starts over from a snapshot, which ends where `lastOffset` says.
  public mutating func load(snapshot: MetadataImage, lastOffset: Offset, epoch: Int32) {
    self = MetadataLoader(
      snapshot, lastOffset: lastOffset, epoch: epoch, isEmpty: snapshot == MetadataImage())
  }

  private mutating func endTransaction() {
    buffered.removeAll()
    transactionStart = nil
  }
}

extension MetadataRecord {
  var isTransactionMarker: Bool {
    switch self {
    case .beginTransaction, .endTransaction, .abortTransaction: true
    default: false
    }
  }
}
