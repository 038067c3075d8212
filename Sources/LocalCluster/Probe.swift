import Bytes
import Glibc
import KafkaMessages
import KafkaProtocol

/// Short questions to one process on loopback, with blocking sockets and a time limit.
///
/// A local cluster is waited for by asking its processes, not by sleeping: a coordinator for its
/// `srvr` report, a broker for the brokers that it knows.
enum Probe {
  /// What a coordination server answers to a four-letter word; nil when it does not answer.
  static func fourLetterWord(_ word: String, port: Int, limitMs: Int = 500) -> String? {
    guard let wire = connect(port: port, limitMs: limitMs) else { return nil }
    defer { close(wire) }
    guard sendAll(wire, Array(word.utf8)) else { return nil }
    var answer: [UInt8] = []
    while let chunk = receive(wire, atMost: 65536), !chunk.isEmpty { answer += chunk }
    return String(decoding: answer, as: UTF8.self)
  }

  /// The `Mode:` of a serving coordinator: leader, follower, observer or standalone.
  static func coordinatorMode(port: Int) -> String? {
    guard let report = fourLetterWord("srvr", port: port) else { return nil }
    for line in report.split(separator: "\n") where line.hasPrefix("Mode: ") {
      return String(line.dropFirst("Mode: ".count))
    }
    return nil
  }

  /// The brokers and the controller that one broker names in its metadata.
  static func brokers(port: Int, limitMs: Int = 1000) -> (ids: [Int32], controller: Int32)? {
    var request = MetadataRequest()
    request.topics = []
    guard let response = ask(request, version: 4, port: port, limitMs: limitMs) else { return nil }
    return (response.brokers.map(\.nodeID).sorted(), response.controllerID)
  }

  /// What a controller is in its quorum: `leader` or `follower`; nil when it does not answer.
  static func quorumRole(port: Int, limitMs: Int = 1000) -> String? {
    let request = DescribeQuorumRequest {
      $0.topics = [
        .init {
          $0.topicName = "__cluster_metadata"
          $0.partitions = [.init { $0.partitionIndex = 0 }]
        }
      ]
    }
    guard let response = ask(request, version: 0, port: port, limitMs: limitMs) else { return nil }
    let error = response.topics.first?.partitions.first?.errorCode ?? response.errorCode
    // Only the leader describes the quorum.
    return error == ErrorCode.none.rawValue && response.errorCode == 0 ? "leader" : "follower"
  }

  /// One request on a connection of its own; nil when there is no answer in time.
  static func ask<R: KafkaRequest>(
    _ request: R, version: Int16, port: Int, limitMs: Int
  ) -> R.Response? {
    guard let wire = post(request, version: version, port: port, limitMs: limitMs) else {
      return nil
    }
    defer { close(wire) }
    return collect(R.self, version: version, from: wire)
  }

  /// Sends a request on a connection of its own, and leaves the answer for `collect`.
  /// - Returns: the connection's descriptor, the caller's to close; nil when nobody took it.
  static func post<R: KafkaRequest>(
    _ request: R, version: Int16, port: Int, limitMs: Int
  ) -> Int32? {
    guard let wire = connect(port: port, limitMs: limitMs) else { return nil }
    var writer = ByteWriter()
    let frame = writer.beginFrame()
    RequestHeader(apiKey: R.apiKey, apiVersion: version, correlationID: 1, clientID: nil)
      .write(to: &writer)
    request.write(to: &writer, version: version)
    writer.endFrame(frame)
    guard sendAll(wire, writer.array()) else {
      close(wire)
      return nil
    }
    return wire
  }

  /// The answer to what was posted; nil when it has not come within the connection's limit.
  static func collect<R: KafkaRequest>(
    _ type: R.Type, version: Int16, from wire: Int32
  ) -> R.Response? {
    guard let size = receiveExactly(wire, 4) else { return nil }
    var sizeReader = ByteReader(size.span.bytes)
    guard let length = try? sizeReader.readInt32(), (4...(1 << 20)).contains(length),
      let body = receiveExactly(wire, Int(length))
    else { return nil }
    var reader = ByteReader(body.span.bytes)
    guard
      let header = try? ResponseHeader(
        from: &reader, version: R.apiKey.responseHeaderVersion(version)),
      header.correlationID == 1
    else { return nil }
    return try? R.Response(from: &reader, version: version)
  }

  // MARK: Sockets

  private static func connect(port: Int, limitMs: Int) -> Int32? {
    let wire = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard wire >= 0 else { return nil }
    var limit = timeval(tv_sec: limitMs / 1000, tv_usec: limitMs % 1000 * 1000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(wire, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(wire, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port).bigEndian)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(wire, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else {
      close(wire)
      return nil
    }
    return wire
  }

  private static func sendAll(_ wire: Int32, _ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(wire, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  private static func receive(_ wire: Int32, atMost limit: Int) -> [UInt8]? {
    var count = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, filled in
      count = recv(wire, buffer.baseAddress, limit, 0)
      filled = max(count, 0)
    }
    return count < 0 ? nil : bytes
  }

  private static func receiveExactly(_ wire: Int32, _ count: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      guard let chunk = receive(wire, atMost: count - bytes.count), !chunk.isEmpty
      else { return nil }
      bytes += chunk
    }
    return bytes
  }
}
