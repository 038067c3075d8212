import CPlatform
import Glibc

/// An address of the IP families, without a port.
public enum IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// Network order kept as a number: 127.0.0.1 is 0x7f000001.
  case v4(UInt32)
  case v6(high: UInt64, low: UInt64, scope: UInt32)

  public static let loopback = IPAddress.v4(0x7f00_0001)
  public static let any = IPAddress.v4(0)

  /// Reads the numeric forms; nil for names. A v6 address may be in brackets.
  public init?(_ text: String) {
    var four = in_addr()
    if inet_pton(AF_INET, text, &four) == 1 {
      self = .v4(UInt32(bigEndian: four.s_addr))
      return
    }
    var bare = text[...]
    if bare.hasPrefix("["), bare.hasSuffix("]") { bare = bare.dropFirst().dropLast() }
    var six = in6_addr()
    guard inet_pton(AF_INET6, String(bare), &six) == 1 else { return nil }
    self = IPAddress(six, scope: 0)
  }

  /// Reads 4 or 16 bytes in network order; nil for any other number of them.
  public init?(bytes: [UInt8]) {
    switch bytes.count {
    case 4: self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
    case 16:
      self = .v6(
        high: bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) },
        low: bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }, scope: 0)
    default: return nil
    }
  }

  /// 4 or 16 bytes in network order.
  public var bytes: [UInt8] {
    func bigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
      withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
    switch self {
    case .v4(let bits): return bigEndian(bits)
    case .v6(let high, let low, _):
      return mappedV4.map(bigEndian) ?? bigEndian(high) + bigEndian(low)
    }
  }

  init(_ address: in6_addr, scope: UInt32) {
    let (high, low) = withUnsafeBytes(of: address) {
      ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }
    self = .v6(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low), scope: scope)
  }

  /// The numeric text, without brackets. A v4 address that came mapped into v6 shows as v4.
  public var description: String {
    switch self {
    case .v4(let bits):
      return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    case .v6(let high, let low, _):
      if let mapped = mappedV4 { return IPAddress.v4(mapped).description }
      var address = in6_addr()
      withUnsafeMutableBytes(of: &address) {
        $0.storeBytes(of: high.bigEndian, as: UInt64.self)
        $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
        guard inet_ntop(AF_INET6, &address, buffer.baseAddress, 64) != nil,
          let start = buffer.baseAddress
        else { return "::" }
        return String(cString: start)
      }
    }
  }

  private var mappedV4: UInt32? {
    guard case .v6(0, let low, _) = self, low >> 32 == 0xffff else { return nil }
    return UInt32(truncatingIfNeeded: low)
  }
}

/// Where a socket is bound or connected: an address and a port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  public var ip: IPAddress
  public var port: UInt16

  public init(_ ip: IPAddress, port: UInt16) {
    self.ip = ip
    self.port = port
  }

  /// 127.0.0.1 with a port; 0 lets the kernel choose.
  public static func loopback(port: UInt16 = 0) -> SocketAddress {
    SocketAddress(.loopback, port: port)
  }

  /// `host:port`, a v6 host in brackets.
  public var description: String {
    let host = ip.description
    return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  var family: Int32 {
    if case .v4 = ip { return AF_INET }
    return AF_INET6
  }

  init?(_ storage: sockaddr_storage) {
    let found: SocketAddress? = withUnsafeBytes(of: storage) { bytes in
      switch Int32(storage.ss_family) {
      case AF_INET:
        let address = bytes.loadUnaligned(as: sockaddr_in.self)
        let ip = IPAddress.v4(UInt32(bigEndian: address.sin_addr.s_addr))
        return SocketAddress(ip, port: UInt16(bigEndian: address.sin_port))
      case AF_INET6:
        let address = bytes.loadUnaligned(as: sockaddr_in6.self)
        return SocketAddress(
          IPAddress(address.sin6_addr, scope: address.sin6_scope_id),
          port: UInt16(bigEndian: address.sin6_port))
      default: return nil
      }
    }
    guard let found else { return nil }
    self = found
  }

  /// The kernel's form.
  func withKernelForm<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var storage = sockaddr_storage()
    let length: Int
    switch ip {
    case .v4(let bits):
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = bits.bigEndian
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in.self) }
      length = MemoryLayout<sockaddr_in>.size
    case .v6(let high, let low, let scope):
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      address.sin6_scope_id = scope
      withUnsafeMutableBytes(of: &address.sin6_addr) {
        $0.storeBytes(of: high.bigEndian, as: UInt64.self)
        $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in6.self) }
      length = MemoryLayout<sockaddr_in6>.size
    }
    return withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
    }
  }
}
