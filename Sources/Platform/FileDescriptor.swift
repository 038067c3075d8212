import Glibc

/// Owns a descriptor of the kernel: exactly one owner, closed when that goes away.
public struct FileDescriptor: ~Copyable, Sendable {
  /// The number, for calls; it stays valid as long as this value lives.
  public let number: Int32

  /// Takes ownership of an open descriptor.
  public init(owning number: Int32) { self.number = number }

  deinit {
    if let machine = Machines.simulated {
      if number >= Machines.firstSocket { return machine.close(number) }
      machine.willClose(number)
    }
    _ = Glibc.close(number)
  }

  /// Gives the number away unclosed.
  public consuming func release() -> Int32 {
    let number = number
    discard self
    return number
  }
}
