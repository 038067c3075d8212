// Message digests, from OpenSSL.

import COpenSSL

/// A cryptographic hash.
public enum Digest: Sendable {
  /// For DIGEST-MD5 only: it protects nothing any more.
  case md5
  case sha1
  case sha256
  case sha512

  private var algorithm: OpaquePointer? {
    switch self {
    case .md5: EVP_md5()
    case .sha1: EVP_sha1()
    case .sha256: EVP_sha256()
    case .sha512: EVP_sha512()
    }
  }

  /// Bytes of the hash.
  public var size: Int {
    switch self {
    case .md5: 16
    case .sha1: 20
    case .sha256: 32
    case .sha512: 64
    }
  }

  /// The hash of some bytes.
  public func hash(_ bytes: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      var length: UInt32 = 0
      let done = EVP_Digest(bytes, bytes.count, buffer.baseAddress, &length, algorithm, nil)
      // Fails only where the system's policy forbids the algorithm: nothing we can make up for.
      precondition(done == 1 && Int(length) == size, "OpenSSL refuses \(self)")
      count = Int(length)
    }
  }
}
