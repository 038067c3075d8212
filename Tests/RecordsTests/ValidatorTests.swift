import Bytes
import Compression
import Testing
import Values

@testable import Records

/// What a leader accepts, changes and refuses.
@Suite struct ValidatorTests {
  static let now = WallTime(milliseconds: 1_700_000_000_500)

  /// Validates and assigns offsets from 100; the bytes as they would be stored.
  static func append(
    _ bytes: [UInt8], origin: AppendOrigin = .client, _ edit: (inout AppendRules) -> Void = { _ in }
  ) throws -> (stored: [UInt8], offsets: Int64) {
    var rules = AppendRules()
    edit(&rules)
    var bytes = bytes
    let validator = RecordValidator(rules, origin: origin, now: now)
    return try bytes.withUnsafeMutableBytes { raw in
      var result = try validator.validate(raw)
      let count = result.offsetCount
      if var rebuilt = result.rebuilt.take() {
        rebuilt.withUnsafeMutableBytes {
          RecordValidator.assignOffsets($0, from: 100, leaderEpoch: 3)
        }
        return (rebuilt.array(), count)
      }
      RecordValidator.assignOffsets(raw, from: 100, leaderEpoch: 3)
      return (Array(raw), count)
    }
  }

  static func refusal(_ body: () throws -> Void) -> AppendRefusal? {
    do { try body() } catch { return error as? AppendRefusal }
    return nil
  }

  @Test(arguments: CompressionType.allCases)
  func offsetsAndEpochAreAssigned(_ codec: CompressionType) throws {
    let bytes = try build(sample(10)) { $0.compressor = Compressor(codec) }
    let (stored, offsets) = try Self.append(bytes)
    #expect(offsets == 10)
    #expect(try readAll(stored) == sample(10, from: 100))
    #expect(try headerOf(stored).partitionLeaderEpoch == 3)
  }

  @Test(arguments: [Int8(0), 1], [CompressionType.none, .gzip, .lz4, .snappy])
  func oldMessagesBecomeABatch(_ magic: Int8, _ codec: CompressionType) throws {
    let bytes = try build(sample(9, headers: false)) {
      $0.magic = magic
      $0.compressor = Compressor(codec)
    }
    let (stored, offsets) = try Self.append(bytes)
    #expect(offsets == 9)
    var wanted = sample(9, from: 100, headers: false)
    if magic == 0 { for index in wanted.indices { wanted[index].timestamp = -1 } }
    #expect(try readAll(stored) == wanted)
    #expect(try headerOf(stored).compression == codec)
  }

  @Test func theTopicsCodecWins() throws {
    let (stored, _) = try Self.append(build(sample(30))) { $0.compressor = Compressor(.zstd) }
    #expect(try headerOf(stored).compression == .zstd)
    #expect(try readAll(stored) == sample(30, from: 100))
    let plain = try Self.append(build(sample(30)) { $0.compressor = Compressor(.gzip) }) {
      $0.compressor = Compressor.none
    }
    #expect(try headerOf(plain.stored).compression == CompressionType.none)
  }

  @Test func logAppendTimeIsStamped() throws {
    let (stored, _) = try Self.append(build(sample(3))) { $0.timestampType = .logAppendTime }
    #expect(try readAll(stored).allSatisfy { $0.timestamp == Self.now.milliseconds })
  }

  @Test func keysAreRequiredOnCompactedTopics() throws {
    let refused = Self.refusal { _ = try Self.append(build(sample(4))) { $0.requiresKeys = true } }
    guard case .invalidRecord(_, let faults) = refused else {
      Issue.record("\(String(describing: refused))")
      return
    }
    #expect(faults.map(\.index) == [0, 3])
  }

  @Test func timestampsAreLimited() throws {
    for edit: (inout AppendRules) -> Void in [
      { $0.timestampBeforeMaxMs = 100 },
      { $0.timestampAfterMaxMs = 100 },
    ] {
      var records = sample(3)
      records[1].timestamp = Self.now.milliseconds + 5000
      let refused = Self.refusal { _ = try Self.append(build(records), edit) }
      guard case .invalidTimestamp = refused else {
        Issue.record("\(String(describing: refused))")
        continue
      }
    }
  }

  @Test func claimsAreChecked() throws {
    let good = try build(sample(4))
    #expect(Self.refusal { _ = try Self.append(good + good) } != nil)
    #expect(
      Self.refusal { _ = try Self.append(good) { $0.maxMessageBytes = good.count - 1 } }
        == .messageTooLarge(size: good.count, limit: good.count - 1))
    var damaged = good
    damaged[70] ^= 1
    guard case .corruptMessage = Self.refusal({ _ = try Self.append(damaged) }) else {
      Issue.record("a wrong checksum was taken")
      return
    }
    let control = try EndTransactionMarker(isCommit: true, coordinatorEpoch: 1)
      .batch(producerID: 1, producerEpoch: 1, timestamp: 1)
    #expect(Self.refusal { _ = try Self.append(control) } != nil)
    #expect(try Self.append(control, origin: .coordinator).offsets == 1)
    #expect(Self.refusal { _ = try Self.append([1, 2, 3]) } != nil)
    let shifted = try build(sample(2, from: 8))
    #expect(Self.refusal { _ = try Self.append(shifted) } != nil)
  }
}
