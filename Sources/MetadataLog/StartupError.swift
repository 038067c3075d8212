/// Why a node cannot start: one line for a person.
public struct StartupError: Error, Equatable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
