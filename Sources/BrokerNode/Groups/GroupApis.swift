/// The APIs of the group coordinator, for the broker's table.
enum GroupApis {
  static let all: [ApiEntry] = []
}
