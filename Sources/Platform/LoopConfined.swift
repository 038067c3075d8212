/// Carries a loop's own object through a `@Sendable` closure that comes back to that loop.
public struct LoopConfined<Value>: @unchecked Sendable {  // opened on the value's loop only
  public let value: Value
  public init(_ value: Value) { self.value = value }
}
