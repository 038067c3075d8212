// Replies to requests that became transactions.

import Bytes
import ZooKeeperProtocol

extension TxnResult {
  /// Writes the body of the reply to a request of this type. The caller has put the error into the
  /// header; a refused request has no body, a failed multi has one.
  public func writeReply(to type: OpCode, writer: inout ByteWriter) {
    switch type {
    case .create: writer.writeJuteString(path)
    case .create2, .createContainer, .createTTL:
      writer.writeJuteString(path)
      (stat ?? Stat()).write(to: &writer)
    case .setData, .setACL, .check: (stat ?? Stat()).write(to: &writer)
    case .reconfig:
      writer.writeJuteBuffer(data)
      (stat ?? Stat()).write(to: &writer)
    case .multi: MultiResponse(nested.map(\.multiResult)).write(to: &writer)
    default: break
    }
  }

  /// Whether the session is elsewhere by now, alone or for an operation of a multi: that is no
  /// answer, but the end of the connection.
  public var saysSessionMoved: Bool {
    error == .sessionMoved || nested.contains { $0.error == .sessionMoved }
  }

  private var multiResult: MultiResult {
    switch type {
    case .check: .check
    case .create: .create(path: path)
    case .create2, .createContainer, .createTTL: .create2(path: path, stat: stat ?? Stat())
    case .delete, .deleteContainer: .delete
    case .setData: .setData(stat: stat ?? Stat())
    default: .error(error)
    }
  }
}
