// Paths of znodes: what may be one, and how they are taken apart.

import ZooKeeperProtocol

public enum ZnodePath {
  /// The server's own corner of the tree.
  public static let reserved = "/zookeeper"
  public static let quota = "/zookeeper/quota"
  public static let config = "/zookeeper/config"

  /// Znodes that cannot be deleted.
  static func isSpecial(_ path: String) -> Bool {
    path == "/" || path == reserved || path == quota || path == config
  }

  /// Everything before the last slash: empty for children of the root, nil without a slash.
  static func parent(of path: String) -> String? {
    path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) }
  }

  /// The first part of a path: ZooKeeper counts requests and quotas by it.
  public static func namespace(of path: String) -> String {
    String(path.split(separator: "/", maxSplits: 1).first ?? "")
  }

  /// A parent as watchers know it: the root is `/`.
  static func watchable(_ parent: String) -> String { parent.isEmpty ? "/" : parent }

  /// Whether clients may give a znode this path: absolute, no empty, `.` or `..` element, no slash
  /// at the end, no control characters, surrogates, private use or specials.
  public static func isValid(_ path: String) -> Bool {
    guard path.utf8.first == UInt8(ascii: "/") else { return false }
    if path.utf8.count == 1 { return true }
    guard path.utf8.last != UInt8(ascii: "/") else { return false }
    for element in path.utf8.dropFirst().split(
      separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    {
      if element.isEmpty || element.elementsEqual(".".utf8) || element.elementsEqual("..".utf8) {
        return false
      }
    }
    // Most paths are plain: only what lies outside printable ASCII needs a closer look.
    guard path.utf8.contains(where: { $0 < 0x20 || $0 >= 0x7f }) else { return true }
    return path.unicodeScalars.allSatisfy { scalar in
      switch scalar.value {
      // Above 0xffff: ZooKeeper sees surrogates, which it refuses.
      case 0...0x1f, 0x7f...0x9f, 0xd800...0xf8ff, 0xfff0...: false
      default: true
      }
    }
  }

  /// The suffix of a sequential znode: ten digits, more if the counter has outgrown them.
  static func sequenceSuffix(_ number: Int32) -> String {
    let digits = String(number.magnitude)
    let width = number < 0 ? 9 : 10
    let padding = String(repeating: "0", count: max(0, width - digits.utf8.count))
    return (number < 0 ? "-" : "") + padding + digits
  }
}

/// What the owner field of a znode says about its kind.
enum OwnerKind {
  case none, ephemeral, container, ttl

  static let containerOwner = Int64.min
  private static let extendedMask: Int64 = -0x0100_0000_0000_0000  // 0xff00…
  static let maxTTL: Int64 = 0x0000_00ff_ffff_ffff

  init(_ owner: Int64, extendedTypes: Bool) {
    if owner == Self.containerOwner {
      self = .container
    } else if extendedTypes, owner & Self.extendedMask == Self.extendedMask {
      self = .ttl
    } else {
      self = owner == 0 ? .none : .ephemeral
    }
  }

  static func ttlOwner(_ ttl: Int64) -> Int64 { extendedMask | ttl }
  static func ttl(ofOwner owner: Int64) -> Int64 { owner & maxTTL }
}
