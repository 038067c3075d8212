import BrokerNode
import Foundation

exit(BrokerCommand.run(Array(CommandLine.arguments.dropFirst())))
