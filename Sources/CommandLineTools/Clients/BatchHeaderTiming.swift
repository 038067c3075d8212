/// How fast another module reads the header of a batch.
///
/// The one thing that costs a factor of 300 and shows nowhere else: code of another module that the
/// optimizer does not see into. About 5 ns are right in a release build.
import Bytes
import Glibc
import Records

enum BatchHeaderTiming {
  /// - Returns: nanoseconds of processor time for each header, the best of five rounds.
  static func measure(_ count: Int) -> Double {
    var builder = BatchBuilder(BatchOptions())
    builder.append(timestamp: 1, key: nil, value: [1, 2, 3])
    var batch = ByteWriter()
    guard (try? builder.finish(into: &batch)) != nil else { return .infinity }
    var best = Double.infinity
    for _ in 0..<5 {
      var sum: Int64 = 0
      let rounds = max(count / 5, 1)
      let began = processorNanoseconds()
      batch.withUnsafeMutableBytes { bytes in
        for round in 0..<rounds {
          // The bytes change, so that no round can be left out.
          bytes.storeBytes(of: Int64(round).bigEndian, as: Int64.self)
          if let header = try? BatchHeader(UnsafeRawBufferPointer(bytes)) {
            sum &+= header.baseOffset &+ Int64(header.recordCount)
          }
        }
      }
      let took = processorNanoseconds() - began
      // Looked at, so that it has to be computed.
      if sum == .min { return .infinity }
      best = min(best, Double(took) / Double(rounds))
    }
    return best
  }

  /// Of this thread: others may keep the machine busy.
  private static func processorNanoseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }
}
