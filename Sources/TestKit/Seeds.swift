import Foundation

/// How many seeds a simulation runs in the tests: `JACKDAW_SEEDS=1000` asks every one for so many.
public enum Seeds {
  public static func range(_ count: UInt64, from first: UInt64 = 1) -> Range<UInt64> {
    let asked = ProcessInfo.processInfo.environment["JACKDAW_SEEDS"].flatMap(UInt64.init)
    return first..<(first + (asked ?? count))
  }
}
