import COpenSSL

/// Who is at the other end of a TLS connection, as its certificate has it.
public struct TLSPeer: Hashable, Sendable {
  /// The subject in the form of RFC 2253, as Java's `X500Principal.getName()` writes it: it is an
  /// identity in ACLs, so every character counts.
  public let subject: String

  init(certificate: OpaquePointer) {
    subject = DistinguishedName.text(X509_get_subject_name(certificate))
  }
}

enum DistinguishedName {
  /// The types that RFC 2253 has short names for; the others are shown by their numbers.
  private static let names: [String: String] = [
    "2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET",
    "2.5.4.10": "O", "2.5.4.11": "OU", "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
  ]

  /// The most specific part first, parts of one set joined by a plus.
  static func text(_ name: OpaquePointer?) -> String {
    var text = ""
    var lastSet: Int32?
    for index in (0..<X509_NAME_entry_count(name)).reversed() {
      guard let entry = X509_NAME_get_entry(name, index) else { continue }
      let set = X509_NAME_ENTRY_set(entry)
      if let lastSet { text += set == lastSet ? "+" : "," }
      lastSet = set
      text += part(entry)
    }
    return text
  }

  private static func part(_ entry: OpaquePointer) -> String {
    let number = objectNumber(X509_NAME_ENTRY_get_object(entry))
    let value = X509_NAME_ENTRY_get_data(entry)
    guard let name = names[number] else { return "\(number)=#\(encoding(of: value))" }
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = ASN1_STRING_to_UTF8(&bytes, value)
    guard count >= 0, let bytes else { return "\(name)=" }
    defer { CRYPTO_free(bytes, "", 0) }
    let raw = UnsafeBufferPointer(start: bytes, count: Int(count))
    return "\(name)=\(escaped(String(decoding: raw, as: UTF8.self)))"
  }

  private static func objectNumber(_ object: OpaquePointer?) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
      guard let start = buffer.baseAddress, OBJ_obj2txt(start, 128, object, 1) > 0 else {
        return ""
      }
      return String(cString: start)
    }
  }

  /// The value's DER bytes in hexadecimal digits.
  private static func encoding(
    of value: UnsafeMutablePointer<ASN1_STRING>?
  ) -> String {
    let count = Int(ASN1_STRING_length(value))
    guard let start = ASN1_STRING_get0_data(value) else { return "" }
    var bytes = [UInt8(truncatingIfNeeded: ASN1_STRING_type(value))]
    switch count {
    case ..<128: bytes.append(UInt8(count))
    case ..<256: bytes += [0x81, UInt8(count)]
    default: bytes += [0x82, UInt8(truncatingIfNeeded: count >> 8), UInt8(count & 255)]
    }
    bytes += UnsafeBufferPointer(start: start, count: count)
    return bytes.map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  private static func escaped(_ value: String) -> String {
    var text = ""
    let scalars = Array(value.unicodeScalars)
    for (index, scalar) in scalars.enumerated() {
      let isAtEnd = index == 0 || index == scalars.count - 1
      switch scalar {
      case ",", "+", "\"", "\\", "<", ">", ";": text += "\\"
      case "#" where index == 0: text += "\\"
      case " " where isAtEnd: text += "\\"
      default: break
      }
      text.unicodeScalars.append(scalar)
    }
    return text
  }
}
