import Platform
import Telemetry
import Testing
import Values

@testable import HTTP

@Suite struct HTTPTests {
  @Test func metricsAreServed() async throws {
    let group = try EventLoopGroup(count: 1, name: "http")
    defer { group.stop() }
    let metrics = Metrics()
    metrics.counter("requests_total").add(5)
    let server = try HTTPServer.serving(metrics, on: group)
    defer { server.stop() }
    let answer = try await HTTPClient.get("/metrics", from: server.address, on: group.loops[0])
    #expect(answer.status == 200)
    #expect(answer.contentType == Metrics.contentType)
    #expect(String(decoding: answer.body, as: UTF8.self).contains("requests_total 5\n"))
    let missing = try await HTTPClient.get("/x", from: server.address, on: group.loops[0])
    #expect(missing.status == 404)
  }

  @Test func bodiesQueriesAndLaterAnswers() async throws {
    let group = try EventLoopGroup(count: 2, name: "http")
    defer { group.stop() }
    let pool = try IOPool(threads: 1)
    defer { pool.stop() }
    let server = try HTTPServer(on: group, later: { request, reply in
      pool.submit {
        let text = "\(request.method) \(request.path) \(request.query["q"] ?? "-") "
        reply(.text(text + String(decoding: request.body, as: UTF8.self)))
      }
    })
    defer { server.stop() }
    let answer = try await HTTPClient.send(
      "POST", "/a%20b?q=c+d", body: Array("body".utf8), to: server.address, on: group.loops[1])
    #expect(String(decoding: answer.body, as: UTF8.self) == "POST /a b c d body")
  }

  @Test(arguments: [
    "GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n",
  ])
  func badRequestsAreRefused(_ text: String) throws {
    var status: Int?
    Array(text.utf8).withUnsafeBytes { bytes in
      do throws(HTTPParser.Refusal) {
        guard let head = try HTTPParser.head(bytes) else { return }
        _ = try HTTPParser.request(head, body: [])
      } catch {
        status = error.status
      }
    }
    #expect(status == 400)
  }

  @Test func anEndlessHeadIsRefused() {
    let bytes = [UInt8](repeating: 65, count: HTTPParser.maxHeadBytes + 1)
    _ = bytes.withUnsafeBytes { bytes in
      #expect(throws: HTTPParser.Refusal(status: 431, reason: "head too large")) {
        try HTTPParser.head(bytes)
      }
    }
  }

  @Test func mutatedRequestsNeverCrash() {
    let good = Array(
      "POST /a/b?x=1&y=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi".utf8)
    var random = SplitMix(seed: 17)
    for _ in 0..<5_000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: place)
        default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
        }
      }
      bytes.withUnsafeBytes { bytes in
        guard let head = try? HTTPParser.head(bytes) else { return }
        #expect(head.length <= bytes.count)
        _ = try? HTTPParser.request(head, body: [])
      }
    }
  }
}
