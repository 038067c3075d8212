import BrokerNode
import ControllerNode
import Foundation

let status = BrokerCommand.run(Array(CommandLine.arguments.dropFirst())) { config in
  // Without its metadata log neither role can go on, and a clean end would need it.
  let node = try ControllerNode(config, servesMetrics: false) { _ in exit(1) }
  return ControllerPart(driver: node.driver, metrics: node.metrics) { node.shutdown() }
}
exit(status)
