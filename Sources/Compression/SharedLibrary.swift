import Glibc

/// A codec's library, opened at run time, so that neither building nor storing batches needs it.
struct SharedLibrary {
  let codec: CompressionType
  private let handle: UnsafeMutableRawPointer

  /// Opens the codec's library; it stays open for the life of the process.
  init(for codec: CompressionType) throws(CompressionError) {
    guard let handle = dlopen(codec.library.file, RTLD_NOW | RTLD_LOCAL) else {
      throw Self.missing(codec)
    }
    self.codec = codec
    self.handle = handle
  }

  /// The function called `name`.
  /// - Precondition: `Function` is the C function type that the library's header declares.
  func function<Function>(_ name: String, as type: Function.Type) throws(CompressionError)
    -> Function
  {
    guard let symbol = dlsym(handle, name) else { throw Self.missing(codec) }
    return unsafeBitCast(symbol, to: type)
  }

  static func missing(_ codec: CompressionType) -> CompressionError {
    let (file, package) = codec.library
    return .libraryMissing(codec: codec, library: file, package: package)
  }
}
