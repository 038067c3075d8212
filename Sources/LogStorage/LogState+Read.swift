import Platform
import Records
import Values

/// How far a read may see.
public enum ReadLimit: Sendable {
  /// Consumers: what all in-sync replicas have.
  case highWatermark
  /// Consumers of committed transactions.
  case lastStableOffset
  /// Followers.
  case logEndOffset
}

/// What a read found: a range of a segment's file, and how the log stands.
public struct LogSlice: Sendable {
  /// Whole batches from the one with the offset asked for; the last one may be cut off. Nil:
  /// nothing.
  public var region: FileRegion?
  /// The first batch is larger than what was asked for, and cut off.
  public var isFirstBatchCutOff = false
  public var logStartOffset: Offset
  public var logEndOffset: Offset
  public var highWatermark: Offset
  public var lastStableOffset: Offset
  /// Only for reads up to the last stable offset, by first offset.
  public var abortedTransactions: [AbortedTransaction] = []

  public var count: Int { region?.count ?? 0 }
}

/// Where a batch is: asked under the lock, looked up in the file without it.
struct PlaceQuestion: Equatable, Sendable {
  var offset: Offset
  var segmentBase: Offset
  /// Of the log when the question was put; an answer holds for the same files only.
  var layout: Int
}

/// Places that were looked up without the lock, for the next try with it.
struct KnownPlaces {
  struct Question: Sendable {
    var place: PlaceQuestion
    var file: File
    /// Where the index says to begin.
    var from: Int
    var end: Int
  }

  /// A nil place: the segment has no batch that ends at or behind the offset.
  private var answers: [(question: PlaceQuestion, place: (position: Int, size: Int)?)] = []

  /// The place, if it is known: the outer nil means that it is not.
  func place(_ question: PlaceQuestion) -> (position: Int, size: Int)?? {
    answers.first { $0.question == question }.map(\.place)
  }

  mutating func answer(_ question: Question) throws {
    let found = try LogSegment.locate(
      question.place.offset, in: question.file, from: question.from, to: question.end)
    answers.append((question.place, found.map { ($0.position, $0.header.sizeInBytes) }))
  }
}

enum ReadOutcome: Sendable {
  case found(LogSlice)
  /// The file has to be read to go on, which is not done under the lock.
  case lookUp(KnownPlaces.Question)
}

/// Ends a read for which a place has to be looked up.
private struct PlaceUnknown: Error {
  let question: KnownPlaces.Question
}

extension LogState {
  func slice() -> LogSlice {
    LogSlice(
      region: nil, logStartOffset: logStartOffset, logEndOffset: logEndOffset,
      highWatermark: highWatermark, lastStableOffset: lastStableOffset)
  }

  /// Near the log's end places are remembered; elsewhere the caller is asked to look them up.
  func read(
    from offset: Offset, maxBytes: Int, upTo limit: ReadLimit, minOneMessage: Bool,
    knowing known: KnownPlaces
  ) throws -> ReadOutcome {
    do {
      return .found(
        try read(
          from: offset, maxBytes: maxBytes, upTo: limit, minOneMessage: minOneMessage, known))
    } catch let unknown as PlaceUnknown { return .lookUp(unknown.question) }
  }

  private func read(
    from offset: Offset, maxBytes: Int, upTo limit: ReadLimit, minOneMessage: Bool,
    _ known: KnownPlaces
  ) throws -> LogSlice {
    var slice = slice()
    guard offset >= logStartOffset, offset <= logEndOffset else {
      throw LogError.offsetOutOfRange(
        requested: offset, start: logStartOffset, end: logEndOffset)
    }
    let end =
      switch limit {
      case .highWatermark: highWatermark
      case .lastStableOffset: slice.lastStableOffset
      case .logEndOffset: logEndOffset
      }
    guard offset < end, var index = segmentIndex(for: offset) else { return slice }
    // A segment may end before the offset, where compaction has left a gap.
    while index < segments.count {
      let segment = segments[index]
      let readable = try readableEnd(of: index, limit: end, known)
      if let found = try place(of: offset, in: segment, known), found.position < readable {
        let wanted = minOneMessage ? max(maxBytes, found.size) : maxBytes
        let count = min(wanted, readable - found.position)
        slice.isFirstBatchCutOff = count < found.size
        if count > 0 {
          slice.region = FileRegion(
            file: segment.file, position: Int64(found.position), count: count)
        }
        if limit == .lastStableOffset {
          let upper = try upperBound(of: index, position: found.position + count, limit: end)
          slice.abortedTransactions = aborted(in: offset..<max(upper, offset), from: index)
        }
        return slice
      }
      index += 1
    }
    return slice
  }

  /// The first batch of the segment that ends at or behind `offset`.
  private func place(
    of offset: Offset, in segment: LogSegment, _ known: KnownPlaces
  ) throws -> (position: Int, size: Int)? {
    if segment === active, let place = recent.find(offset) { return (place.position, place.size) }
    let question = PlaceQuestion(
      offset: offset, segmentBase: segment.baseOffset, layout: layout)
    if let answer = known.place(question) { return answer }
    throw PlaceUnknown(
      question: KnownPlaces.Question(
        place: question, file: segment.file, from: try segment.offsetIndex.position(for: offset),
        end: segment.size))
  }

  /// Up to where a segment may be read when offsets from `limit` on are hidden.
  private func readableEnd(
    of index: Int, limit: Offset, _ known: KnownPlaces
  ) throws -> Int {
    let segment = segments[index]
    let next = index + 1 < segments.count ? segments[index + 1].baseOffset : logEndOffset
    if limit >= next { return segment.size }
    if limit <= segment.baseOffset { return 0 }
    if let last = limitPlace, last.offset == limit, last.segmentBase == segment.baseOffset {
      return last.position
    }
    let position = try place(of: limit, in: segment, known)?.position ?? segment.size
    limitPlace = (limit, segment.baseOffset, position)
    return position
  }

  /// An offset behind all batches that a read up to `position` gives.
  private func upperBound(of index: Int, position: Int, limit: Offset) throws -> Offset {
    let segment = segments[index]
    let next = index + 1 < segments.count ? segments[index + 1].baseOffset : logEndOffset
    let indexed = try segment.offsetIndex.offset(atOrBehind: position)
    return min(indexed.map { $0 + 1 } ?? next, limit)
  }

  private func aborted(in range: Range<Offset>, from index: Int) -> [AbortedTransaction] {
    var found: [AbortedTransaction] = []
    for segment in segments[index...] where segment.transactionIndex.collect(range, into: &found) {
      break
    }
    return found.sorted { ($0.firstOffset, $0.lastOffset) < ($1.firstOffset, $1.lastOffset) }
  }
}
