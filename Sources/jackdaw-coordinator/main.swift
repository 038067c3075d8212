import Foundation
import CoordinatorNode

exit(CoordinatorCommand.run(Array(CommandLine.arguments.dropFirst())))
