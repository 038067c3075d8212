import Foundation

// The KRaft controller quorum is not there yet: say so instead of pretending to run.
let arguments = CommandLine.arguments.dropFirst()
if arguments.contains("--help") || arguments.contains("-h") {
  print("usage: jackdaw-controller <controller.properties> [--override key=value]...")
  print("KRaft mode is not supported yet; use jackdaw-coordinator and ZooKeeper mode.")
  exit(0)
}
let notice = "jackdaw-controller: KRaft mode is not supported yet; use jackdaw-coordinator\n"
try? FileHandle.standardError.write(contentsOf: Data(notice.utf8))
exit(1)
