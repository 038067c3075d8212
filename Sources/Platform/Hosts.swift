import CPlatform
import Glibc

/// Names to addresses.
public enum Hosts {
  /// A host that could not be resolved.
  public struct ResolutionError: Error, Equatable, Sendable, CustomStringConvertible {
    public let host: String
    public let reason: String
    public var description: String { "cannot resolve \(host): \(reason)" }
  }

  /// The addresses of a host, in the system's order of preference. Numeric text never blocks;
  /// names do, so look those up on an I/O thread. An empty host means every interface.
  public static func resolve(
    _ host: String, port: UInt16
  ) throws(ResolutionError) -> [SocketAddress] {
    if host.isEmpty { return [SocketAddress(.any, port: port)] }
    if let ip = IPAddress(host) { return [SocketAddress(ip, port: port)] }
    // Simulated machines differ by their ports only.
    if Machines.simulated != nil { return [.loopback(port: port)] }
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      throw ResolutionError(host: host, reason: String(cString: gai_strerror(code)))
    }
    defer { freeaddrinfo(list) }
    var addresses: [SocketAddress] = []
    var next = list
    while let entry = next {
      next = entry.pointee.ai_next
      guard let address = entry.pointee.ai_addr else { continue }
      var storage = sockaddr_storage()
      let length = min(Int(entry.pointee.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
      withUnsafeMutableBytes(of: &storage) {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: length))
      }
      if var found = SocketAddress(storage) {
        found.port = port
        if !addresses.contains(found) { addresses.append(found) }
      }
    }
    guard !addresses.isEmpty else { throw ResolutionError(host: host, reason: "no address") }
    return addresses
  }

  /// The same for a caller on a loop, which must not block: `completion` comes on `loop`, for
  /// numeric text before this returns.
  public static func resolve(
    _ host: String, port: UInt16, then loop: EventLoop,
    _ completion: @escaping @Sendable (Result<[SocketAddress], ResolutionError>) -> Void
  ) {
    if host.isEmpty || IPAddress(host) != nil || Machines.simulated != nil || pool == nil {
      completion(Result { () throws(ResolutionError) in try resolve(host, port: port) })
      return
    }
    pool?.submit(
      { Result { () throws(ResolutionError) in try resolve(host, port: port) } }, then: loop,
      completion)
  }

  /// Lookups of names that hang must not hold up the disk's threads.
  private static let pool = try? IOPool(threads: 1, name: "names")

  /// This machine's name; "localhost" when it has none.
  public static var localName: String {
    if Machines.simulated != nil { return "localhost" }
    return kernelName
  }

  private static var kernelName: String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress, gethostname(start, 255) == 0 else {
        return "localhost"
      }
      buffer[255] = 0
      let name = String(cString: start)
      return name.isEmpty ? "localhost" : name
    }
  }
}
