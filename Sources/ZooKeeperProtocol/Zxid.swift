/// A transaction's place in the one total order: the epoch of the leader that proposed it, and its
/// number within that epoch.
///
/// Number 0 of an epoch is no transaction: it stands for the leader's claim (`NEWLEADER`).
public struct Zxid: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: Int64
  @inlinable public init(rawValue: Int64) { self.rawValue = rawValue }
  @inlinable public init(epoch: Int64, counter: Int64) {
    rawValue = epoch << 32 | (counter & 0xffff_ffff)
  }
  public static let zero = Zxid(rawValue: 0)
  /// What an observer votes with: below everything.
  public static let lowest = Zxid(rawValue: .min)

  @inlinable public var epoch: Int64 { rawValue >> 32 }
  @inlinable public var counter: Int64 { rawValue & 0xffff_ffff }
  /// The next number of the same epoch.
  ///
  /// - Precondition: the counter is not at its limit; a leader at the limit steps down.
  @inlinable public var next: Zxid { Zxid(rawValue: rawValue &+ 1) }
  /// Whether the counter has no further value in this epoch.
  @inlinable public var isLastOfEpoch: Bool { counter == 0xffff_ffff }
  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

  /// Epoch and counter, the latter in hexadecimal.
  public var description: String { "\(epoch):\(String(counter, radix: 16))" }
}

// The same halves of the bare integers that records carry.
extension Zxid {
  @inlinable public static func make(epoch: Int64, counter: Int64) -> Int64 {
    Zxid(epoch: epoch, counter: counter).rawValue
  }
  @inlinable public static func epoch(_ zxid: Int64) -> Int64 { zxid >> 32 }
  @inlinable public static func counter(_ zxid: Int64) -> Int64 { zxid & 0xffff_ffff }
  /// The form of file names and log lines: hexadecimal, lower case, no prefix.
  @inlinable public static func text(_ zxid: Int64) -> String {
    String(UInt64(bitPattern: zxid), radix: 16)
  }
}
