/// The codecs of Kafka's record formats, by the number that batches carry in their attributes.
public enum CompressionType: UInt8, CaseIterable, Sendable {
  case none = 0
  case gzip = 1
  case snappy = 2
  case lz4 = 3
  case zstd = 4

  /// The name in configurations (`compression.type`).
  public var name: String {
    switch self {
    case .none: "none"
    case .gzip: "gzip"
    case .snappy: "snappy"
    case .lz4: "lz4"
    case .zstd: "zstd"
    }
  }

  /// Reads a configuration's name; `uncompressed` means `none`. Nil for anything else, also for
  /// `producer`, which is not a codec.
  public init?(name: some StringProtocol) {
    switch name {
    case "none", "uncompressed": self = .none
    case "gzip": self = .gzip
    case "snappy": self = .snappy
    case "lz4": self = .lz4
    case "zstd": self = .zstd
    default: return nil
    }
  }

  /// The shared library that provides the codec, and the Debian package that installs it.
  var library: (file: String, package: String) {
    switch self {
    case .none: ("", "")
    case .gzip: ("libz.so.1", "zlib1g")
    case .snappy: ("libsnappy.so.1", "libsnappy1v5")
    case .lz4: ("liblz4.so.1", "liblz4-1")
    case .zstd: ("libzstd.so.1", "libzstd1")
    }
  }

  /// The levels that Kafka's configurations accept (KIP-390); nil for codecs without levels.
  public var levels: ClosedRange<Int>? {
    switch self {
    case .none, .snappy: nil
    case .gzip: 1...9
    case .lz4: 1...17
    case .zstd: -131_072...22
    }
  }

  /// The level that a configuration means when it gives none; zlib's own default is -1.
  public var defaultLevel: Int {
    switch self {
    case .none, .snappy: 0
    case .gzip: -1
    case .lz4: 9
    case .zstd: 3
    }
  }
}

/// Why bytes could not be packed or unpacked.
public enum CompressionError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A number that names no codec.
  case unknownCodec(UInt8)
  /// The codec's library is not on this machine, or lacks what is needed; `package` installs it.
  case libraryMissing(codec: CompressionType, library: String, package: String)
  /// The bytes are not what the codec writes.
  case corrupt(CompressionType)
  /// Unpacked, the bytes are more than the caller allows.
  case tooLarge(limit: Int)
  /// The library refused to work, as when memory is short.
  case failed(CompressionType)

  public var description: String {
    switch self {
    case .unknownCodec(let number): "unknown compression codec \(number)"
    case .libraryMissing(let codec, let library, let package):
      "\(codec.name) needs \(library); install the package \(package)"
    case .corrupt(let codec): "the bytes are not valid \(codec.name)"
    case .tooLarge(let limit): "the unpacked bytes exceed \(limit)"
    case .failed(let codec): "the \(codec.name) library failed"
    }
  }
}
