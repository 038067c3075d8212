import Foundation
import Settings
import Telemetry
import Testing

@testable import ServerProcess

@Suite struct ServerCommandTests {
  private let command = ServerCommand(
    name: "jackdaw-test", version: "Test 1", summary: "Serves nothing.", file: "test.properties",
    log: Log("test"), readsEnvironment: false)

  private func file(_ text: String) throws -> String {
    let url = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).properties")
    try Data(text.utf8).write(to: url)
    return url.path
  }

  @Test func servesWithTheFileAndWhatOverridesIt() throws {
    let path = try file("port=1\nhost=here\n")
    defer { try? FileManager.default.removeItem(atPath: path) }
    var seen: [String] = []
    let status = command.run([path, "--override", "port=2"]) { sources, name in
      seen = [sources["port"]?.value ?? "", sources["host"]?.value ?? "", name]
      return 7
    }
    #expect(status == 7)
    #expect(seen == ["2", "here", path])
  }

  @Test(arguments: [
    ["/nowhere/at-all.properties"], [], ["FILE", "--override", "nonsense"],
    ["FILE", "--log-level", "loud"], ["FILE", "--unknown"],
  ])
  func refusesWhatItCannotServe(_ arguments: [String]) throws {
    let path = try file("port=1\n")
    defer { try? FileManager.default.removeItem(atPath: path) }
    let status = command.run(arguments.map { $0 == "FILE" ? path : $0 }) { _, _ in 0 }
    #expect(status == 1)
  }

  @Test func theFirstEndDecides() {
    let ending = ProcessEnding()
    Thread {
      ending.end(with: 10)
      ending.end(with: 0)
    }.start()
    #expect(ending.wait() == 10)
  }
}
