import CPlatform
import Glibc

/// A system call that failed: which one, why, and on what.
public struct SystemError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The call's name as its manual page has it.
  public let call: String
  /// The `errno` value.
  public let code: Int32
  /// The file or address it was about, where there is one.
  public let subject: String?

  public init(_ call: String, code: Int32, on subject: String? = nil) {
    self.call = call
    self.code = code
    self.subject = subject
  }

  /// The current thread's `errno`, taken right after the call.
  public init(_ call: String, on subject: String? = nil) {
    self.init(call, code: errno, on: subject)
  }

  /// The reason in words, such as "No space left on device".
  public var reason: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress, let text = platform_error_text(code, start, 256) else {
        return "error \(code)"
      }
      return String(cString: text)
    }
  }

  public var description: String {
    "\(call)\(subject.map { " \($0)" } ?? ""): \(reason) (\(code))"
  }

  public var isNotFound: Bool { code == ENOENT }
  public var alreadyExists: Bool { code == EEXIST }
  /// Nobody listens at the address.
  public var isRefused: Bool { code == ECONNREFUSED }
  /// The disk or the quota is full.
  public var isNoSpace: Bool { code == ENOSPC || code == EDQUOT }
  /// Nothing can be done now without waiting.
  public var wouldBlock: Bool { code == EAGAIN || code == EWOULDBLOCK }
}

/// Repeats a call that a signal interrupted; throws its `errno` when it returns a negative number.
@inline(__always) @discardableResult
func retrying<T: SignedInteger>(
  _ call: StaticString, on subject: @autoclosure () -> String? = nil, _ body: () -> T
) throws(SystemError) -> T {
  while true {
    let result = body()
    if result >= 0 { return result }
    if errno != EINTR { throw SystemError("\(call)", on: subject()) }
  }
}
