/// Cuts HTTP/1.1 messages out of bytes (RFC 9112); as much of it as scrapers and scripts use: no
/// chunked request bodies, no continuation lines.
enum HTTPParser {
  /// A head above this is refused.
  static let maxHeadBytes = 16 * 1024
  /// A body above this is refused.
  static let maxBodyBytes = 1 << 20

  struct Refusal: Error, Equatable {
    let status: Int
    let reason: String
  }

  struct Head: Equatable {
    var first: String
    var headers: [String: String]
    /// Bytes of the head, its empty line included.
    var length: Int
    /// Bytes of the body that follows; nil when the message does not say.
    var contentLength: Int?
  }

  /// The head at the front of the bytes; nil while it is not whole.
  static func head(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> Head? {
    guard let end = endOfHead(bytes) else {
      if bytes.count > maxHeadBytes { throw Refusal(status: 431, reason: "head too large") }
      return nil
    }
    guard end <= maxHeadBytes else { throw Refusal(status: 431, reason: "head too large") }
    guard let text = String(validating: bytes[..<end], as: UTF8.self) else {
      throw Refusal(status: 400, reason: "head is not text")
    }
    let lines = text.split(omittingEmptySubsequences: true) { $0 == "\r\n" || $0 == "\n" }
    guard let first = lines.first else { throw Refusal(status: 400, reason: "empty head") }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else {
        throw Refusal(status: 400, reason: "header without a colon")
      }
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      headers[line[..<colon].lowercased()] = String(value)
    }
    var contentLength: Int?
    if let text = headers["content-length"] {
      guard let length = Int(text), length >= 0 else {
        throw Refusal(status: 400, reason: "content-length is not a number")
      }
      contentLength = length
    }
    return Head(first: String(first), headers: headers, length: end, contentLength: contentLength)
  }

  /// The first byte after the empty line.
  private static func endOfHead(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var lineIsEmpty = false
    for index in 0..<min(bytes.count, maxHeadBytes + 1) {
      switch bytes[index] {
      case 0x0a:
        if lineIsEmpty { return index + 1 }
        lineIsEmpty = true
      case 0x0d: break
      default: lineIsEmpty = false
      }
    }
    return nil
  }

  /// Method, path and query of a request's first line.
  static func request(_ head: Head, body: [UInt8]) throws(Refusal) -> HTTPRequest {
    let words = head.first.split(separator: " ")
    guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
      throw Refusal(status: 400, reason: "not an HTTP/1 request")
    }
    let target = words[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var query: [String: String] = [:]
    if target.count == 2 {
      for pair in target[1].split(separator: "&") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count == 2 ? try decoded(parts[1], plus: true) : ""
        query[try decoded(parts[0], plus: true)] = value
      }
    }
    return HTTPRequest(
      method: String(words[0]), path: try decoded(target[0], plus: false), query: query,
      headers: head.headers, body: body)
  }

  private static func decoded(_ text: Substring, plus: Bool) throws(Refusal) -> String {
    var bytes: [UInt8] = []
    var source = text.utf8.makeIterator()
    while let byte = source.next() {
      switch byte {
      case UInt8(ascii: "%"):
        guard let high = source.next(), let low = source.next(),
          let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
        else { throw Refusal(status: 400, reason: "bad percent escape") }
        bytes.append(value)
      case UInt8(ascii: "+") where plus: bytes.append(UInt8(ascii: " "))
      default: bytes.append(byte)
      }
    }
    guard let decoded = String(validating: bytes, as: UTF8.self) else {
      throw Refusal(status: 400, reason: "path is not text")
    }
    return decoded
  }
}
