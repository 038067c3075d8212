// The transaction log that is being written, and the thread that does it.

import Bytes
import Platform
import Synchronization
import ZooKeeperProtocol

/// Writes batches of transactions to `log.<zxid>` files; one thread at a time.
final class TxnLogWriter: Sendable {
  private struct State {
    var file: File?
    var position: Int64 = 0
    /// Up to here the file is filled with zeros ahead of what is written.
    var padded: Int64 = 0
  }

  private let directory: DataDirectory
  /// `preAllocSize`, in bytes.
  private let preallocation: Int64
  /// `forceSync`
  private let syncs: Bool
  /// `txnLogSizeLimitInKb`, in bytes; nil: no limit.
  private let maxFileBytes: Int64?
  private let state = Mutex(State())

  init(
    _ directory: DataDirectory, preallocation: Int64, syncs: Bool, maxFileBytes: Int64? = nil
  ) {
    self.maxFileBytes = maxFileBytes
    self.directory = directory
    self.preallocation = preallocation
    self.syncs = syncs
  }

  /// Appends whole entries and returns when they are durable.
  ///
  /// - Parameter first: The zxid of the first of them, which names the file if one is to be begun.
  func append(_ entries: [UInt8], first: Int64) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      do throws(SystemError) {
        let file = try self.file(&state, first: first)
        try pad(file, &state, for: entries.count)
        try file.write(entries, at: state.position)
        state.position += Int64(entries.count)
        if syncs { try file.syncData() }
        if let maxFileBytes, state.position > maxFileBytes { state = State() }
      } catch {
        throw StorageError.system(error)
      }
    }
  }

  private func file(_ state: inout State, first: Int64) throws(SystemError) -> File {
    if let file = state.file { return file }
    let path = directory.log(first)
    // A file of this name can only be one whose transactions were all torn.
    let file = try File(path, [.read, .write, .create, .truncate])
    var header = ByteWriter()
    FileHeader.log.write(to: &header)
    try file.write(header.span, at: 0)
    if syncs { try FileSystem.syncDirectory(directory.logs) }
    state = State(file: file, position: Int64(header.count), padded: Int64(header.count))
    return file
  }

  /// Lengthens the file ahead of what is written, in steps of `preallocation`, so that most
  /// flushes do not change its size.
  private func pad(_ file: File, _ state: inout State, for count: Int) throws(SystemError) {
    guard preallocation > 0, state.position + Int64(count) + 4096 >= state.padded else { return }
    while state.padded <= state.position + Int64(count) + 4096 { state.padded += preallocation }
    try file.truncate(to: state.padded)
  }

  /// The next batch begins a new file.
  func roll() {
    state.withLock { $0 = State() }
  }
}
