/// One record in memory that the caller keeps alive.
public struct RecordView {
  public var offset: Int64
  /// Milliseconds since 1970; -1: none (message format 0).
  public var timestamp: Int64
  /// -1: the batch has no sequence.
  public var sequence: Int32
  public var key: UnsafeRawBufferPointer?
  /// Null: a tombstone.
  public var value: UnsafeRawBufferPointer?
  public var headerCount: Int
  /// The headers as they are stored in a batch v2, without their count.
  public var headerBytes: UnsafeRawBufferPointer
  /// The record's own CRC-32; only formats 0 and 1 have one.
  public var checksum: UInt32?

  /// The headers, in order; names may repeat.
  public var headers: HeaderIterator { HeaderIterator(count: headerCount, bytes: headerBytes) }
}

/// One header of a record.
public struct HeaderView {
  /// UTF-8.
  public var name: UnsafeRawBufferPointer
  public var value: UnsafeRawBufferPointer?
}

/// Steps over a record's headers.
public struct HeaderIterator {
  private var left: Int
  private var cursor: RawCursor

  init(count: Int, bytes: UnsafeRawBufferPointer) {
    left = count
    cursor = RawCursor(bytes)
  }

  /// The next header; nil behind the last.
  public mutating func next() throws(RecordError) -> HeaderView? {
    guard left > 0 else {
      guard cursor.remaining == 0 else { throw .invalid("bytes behind a record's headers") }
      return nil
    }
    left -= 1
    guard let length = cursor.varint(), length >= 0, let name = cursor.bytes(Int(length)),
      let value = cursor.nullableField(length: cursor.varint())
    else { throw .invalid("a header runs past its record") }
    return HeaderView(name: name, value: value)
  }
}

/// Steps over a batch's records, of any message format.
public struct RecordIterator {
  private enum Layout {
    case batch(left: Int32)
    /// `shift` is added to the offsets of inner messages; `timestamp`, if any, replaces theirs.
    case messages(shift: Int64, timestamp: Int64?)
    case single
  }

  private let header: BatchHeader
  private let body: UnsafeRawBufferPointer
  private var cursor: RawCursor
  private var layout: Layout

  init(_ header: BatchHeader, body: UnsafeRawBufferPointer) {
    self.header = header
    self.body = body
    cursor = RawCursor(body)
    layout = .batch(left: header.recordCount)
  }

  init(single header: BatchHeader, message: UnsafeRawBufferPointer) {
    self.header = header
    body = message
    cursor = RawCursor(message)
    layout = .single
  }

  /// Inner messages of format 1 count from 0, and the wrapper has the offset of the last of them;
  /// those of format 0 have their final offsets. A wrapper at 0 is also what certain old producers
  /// send, whose inner offsets are then taken as they are.
  init(wrapper header: BatchHeader, messages: UnsafeRawBufferPointer) throws(RecordError) {
    self.header = header
    body = messages
    cursor = RawCursor(messages)
    var shift: Int64 = 0
    var last: Int64?
    var scan = RawCursor(messages)
    while let offset = scan.int64() {
      guard let size = scan.int32(), scan.skip(Int(size)) else {
        throw .corrupt("an inner message runs past its wrapper")
      }
      last = offset
    }
    guard scan.remaining == 0, let last else { throw .invalid("a wrapper without inner messages") }
    if header.magic == 1, header.baseOffset != 0 {
      guard last >= 0, last <= header.baseOffset else {
        throw .invalid("inner offset \(last) in a wrapper at \(header.baseOffset)")
      }
      shift = header.baseOffset - last
    }
    let stamped = header.magic == 1 && header.timestampType == .logAppendTime
    layout = .messages(shift: shift, timestamp: stamped ? header.maxTimestamp : nil)
  }

  /// The next record; nil behind the last.
  public mutating func next() throws(RecordError) -> RecordView? {
    switch layout {
    case .batch(let left):
      guard left > 0 else {
        guard cursor.remaining == 0 else { throw .invalid("bytes behind the last record") }
        return nil
      }
      layout = .batch(left: left &- 1)
      return try nextInBatch()
    case .single:
      guard cursor.remaining > 0 else { return nil }
      _ = cursor.skip(cursor.remaining)
      return try LegacyMessage(body).view
    case .messages(let shift, let timestamp):
      guard cursor.remaining > 0 else { return nil }
      var view = try nextMessage()
      view.offset = view.offset &+ shift
      if let timestamp { view.timestamp = timestamp }
      return view
    }
  }

  /// Inner messages have their own checksums; the wrapper's covers only the packed bytes.
  private mutating func nextMessage() throws(RecordError) -> RecordView {
    let start = cursor.position
    guard cursor.int64() != nil, let size = cursor.int32(), cursor.skip(Int(size)) else {
      throw .corrupt("an inner message runs past its wrapper")
    }
    let message = try LegacyMessage(UnsafeRawBufferPointer(rebasing: body[start..<cursor.position]))
    guard !message.header.isCompressed else { throw .invalid("a wrapper within a wrapper") }
    guard message.header.magic == header.magic else {
      throw .invalid("format \(message.header.magic) in a wrapper of format \(header.magic)")
    }
    guard message.hasValidChecksum else { throw .corrupt("checksum of an inner message") }
    return message.view
  }

  /// A record of a batch v2: length, attributes, two deltas, key, value and headers, as varints.
  private mutating func nextInBatch() throws(RecordError) -> RecordView {
    guard let length = cursor.varint(), length >= 0, Int(length) <= cursor.remaining else {
      throw .invalid("a record runs past its batch")
    }
    let end = cursor.position &+ Int(length)
    // One byte of attributes, all of them unused.
    guard cursor.skip(1), let timeDelta = cursor.varlong(), let offsetDelta = cursor.varint(),
      let key = cursor.nullableField(length: cursor.varint()),
      let value = cursor.nullableField(length: cursor.varint()),
      let headers = cursor.varint(), headers >= 0, cursor.position <= end,
      // A header has at least two bytes.
      Int(headers) <= (end &- cursor.position) / 2,
      let headerBytes = cursor.bytes(end &- cursor.position)
    else { throw .invalid("a record contradicts its length") }
    let timestamp =
      header.timestampType == .logAppendTime
      ? header.maxTimestamp : header.baseTimestamp &+ timeDelta
    let sequence =
      header.baseSequence < 0
      ? BatchHeader.noSequence : BatchHeader.sequence(header.baseSequence, plus: offsetDelta)
    return RecordView(
      offset: header.baseOffset &+ Int64(offsetDelta), timestamp: timestamp, sequence: sequence,
      key: key, value: value, headerCount: Int(headers), headerBytes: headerBytes)
  }
}
