// What is wrong with the data directory, in one line that names the file.

import Platform
import ZooKeeperProtocol

/// Data that cannot be used, or a disk that does not do what it must.
public enum StorageError: Error, Equatable, Sendable, CustomStringConvertible {
  case system(SystemError)
  /// A file whose content cannot be: its name, the offset in bytes, and what is there.
  case corrupt(file: String, offset: Int, reason: String)
  /// Transactions are missing between what was read and what comes next.
  case gap(file: String, after: Int64, next: Int64)
  /// Another process serves from this directory.
  case locked(directory: String)
  /// There are logs, but no snapshot that they go on from.
  case noSnapshot(directory: String)
  /// A codec that is not there, or that fails.
  case codec(file: String, reason: String)
  /// This server cannot take part in its ensemble.
  case ensemble(String)

  public var description: String {
    switch self {
    case .system(let error): "\(error)"
    case .corrupt(let file, let offset, let reason): "\(file): offset \(offset): \(reason)"
    case .gap(let file, let after, let next):
      "\(file): transactions are missing: 0x\(zxidText(next)) follows 0x\(zxidText(after))"
    case .ensemble(let reason): reason
    case .codec(let file, let reason): "\(file): \(reason)"
    case .locked(let directory): "\(directory): in use by another process"
    case .noSnapshot(let directory):
      "\(directory): there are transaction logs, but no valid snapshot that they go on from"
    }
  }
}

/// A zxid or session id as file names and log lines have it: hexadecimal without a prefix.
func zxidText(_ zxid: Int64) -> String { String(UInt64(bitPattern: zxid), radix: 16) }
