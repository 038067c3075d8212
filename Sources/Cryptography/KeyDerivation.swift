// Keyed hashes and keys made from passwords, from OpenSSL.

import COpenSSL

extension Digest {
  /// The HMAC of a message under a key (RFC 2104).
  public func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
    let block = self == .sha512 ? 128 : 64
    var padded = key.count > block ? hash(key) : key
    padded += [UInt8](repeating: 0, count: block - padded.count)
    let inner = hash(padded.map { $0 ^ 0x36 } + message)
    return hash(padded.map { $0 ^ 0x5c } + inner)
  }

  /// PBKDF2 with HMAC (RFC 8018), as long as the hash: what SCRAM calls Hi().
  public func stretch(_ password: [UInt8], salt: [UInt8], iterations: Int32) -> [UInt8] {
    let algorithm: OpaquePointer? =
      switch self {
      case .md5: EVP_md5()
      case .sha1: EVP_sha1()
      case .sha256: EVP_sha256()
      case .sha512: EVP_sha512()
      }
    let text = password.map { CChar(bitPattern: $0) }
    return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      let done = PKCS5_PBKDF2_HMAC(
        text, Int32(text.count), salt, Int32(salt.count), max(1, iterations), algorithm,
        Int32(size), buffer.baseAddress)
      precondition(done == 1, "OpenSSL refuses \(self)")
      count = size
    }
  }
}

/// What a server keeps of a SCRAM password (RFC 5802).
public struct ScramKeys: Equatable, Sendable {
  public var storedKey: [UInt8]
  public var serverKey: [UInt8]

  public init(saltedPassword: [UInt8], _ digest: Digest) {
    storedKey = digest.hash(
      digest.authenticate(Array("Client Key".utf8), key: saltedPassword))
    serverKey = digest.authenticate(Array("Server Key".utf8), key: saltedPassword)
  }
}
