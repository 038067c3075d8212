/// Names that requests carry again and again, so that a string is not made for each of them.
///
/// Each name has one place, found by a hash of its bytes; two names that want the same place push
/// each other out, which costs a new string and nothing else. That bounds the cache without anybody
/// having to tidy it up.
import Bytes

struct NameCache {
  private static let places = 512
  private var names = [String?](repeating: nil, count: places)

  /// The text at a range of what `reader` reads.
  mutating func name(
    at range: Range<Int>, of reader: borrowing ByteReader
  ) throws(ByteError) -> String {
    let place = Int(truncatingIfNeeded: reader.hash(at: range)) & (Self.places - 1)
    if let known = names[place], reader.isText(known, at: range) { return known }
    let made = try reader.text(at: range)
    names[place] = made
    return made
  }
}
