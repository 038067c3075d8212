import Bytes
import KafkaProtocol
import Platform

/// A request on its way: what to write, and whom to tell. Confined to the client's loop.
class Call {
  let apiKey: ApiKey
  /// The newest version that the caller understands the fields of.
  let maxVersion: Int16
  let timeoutMs: Int64
  var version: Int16 = 0
  var correlationID: Int32 = 0
  var timer = LoopTimer.none

  init(apiKey: ApiKey, maxVersion: Int16, timeoutMs: Int64) {
    self.apiKey = apiKey
    self.maxVersion = maxVersion
    self.timeoutMs = timeoutMs
  }

  /// The oldest version that this side can write.
  var oldestVersion: Int16 { 0 }
  /// Produce with acks=0 is not answered.
  var isAnswered: Bool { true }
  func writeBody(to writer: inout ByteWriter) {}
  /// Takes the answer without its header; called once, or `fail` is.
  func complete(_ frame: UnsafeRawBufferPointer, from position: Int) {}
  func fail(_ error: ClientError) {}
}

/// A request with the closure that its answer goes to.
final class TypedCall<Request: KafkaRequest>: Call {
  typealias Completion = (Result<Request.Response, ClientError>) -> Void
  private let request: Request
  private let answered: Bool
  private var completion: Completion?

  init(
    _ request: Request, maxVersion: Int16?, timeoutMs: Int64, isAnswered: Bool = true,
    _ completion: @escaping Completion
  ) {
    self.request = request
    self.completion = completion
    answered = isAnswered
    let newest = Request.validVersions.upperBound
    super.init(
      apiKey: Request.apiKey, maxVersion: min(maxVersion ?? newest, newest), timeoutMs: timeoutMs)
  }

  override var oldestVersion: Int16 { Request.validVersions.lowerBound }
  override var isAnswered: Bool { answered }

  override func writeBody(to writer: inout ByteWriter) {
    request.write(to: &writer, version: version)
    if !answered { finish(.success(Request.Response())) }
  }

  override func complete(_ frame: UnsafeRawBufferPointer, from position: Int) {
    let span = frame.bytes
    var reader = ByteReader(span)
    reader.position = position
    do {
      var response = try Request.Response(from: &reader, version: version)
      response.copyRecords(from: span)
      finish(.success(response))
    } catch {
      finish(.failure(.malformed(apiKey, error)))
    }
  }

  override func fail(_ error: ClientError) { finish(.failure(error)) }

  private func finish(_ result: Result<Request.Response, ClientError>) {
    let completion = completion
    self.completion = nil
    completion?(result)
  }
}
