import CPlatform

/// The checksum of Kafka's newer formats.
public enum Checksum {
  /// CRC-32C (Castagnoli) of the bytes.
  public static func crc32c(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    guard let base = bytes.baseAddress else { return 0 }
    return jd_crc32c(0, base, bytes.count)
  }
}
