import ControllerNode
import Foundation

exit(ControllerCommand.run(Array(CommandLine.arguments.dropFirst())))
