// Requests that describe, create, change and delete topics.
import Control
import KafkaMessages
import KafkaProtocol
import Metadata
import Values

private let failed = ErrorCode.topicAuthorizationFailed

// MARK: Description

extension MetadataRequest: GuardedRequest {
  typealias Topic = MetadataResponse.MetadataResponseTopic

  /// DESCRIBE on each topic: one that was named fails, one among all is left out. A topic that
  /// would come into being needs CREATE.
  public mutating func restrict(_ access: Access, version: Int16) -> Restriction<MetadataResponse> {
    var refused: [Topic] = []
    var hasNoTopics = false
    let isAboutAll = topics == nil || version == 0 && topics?.isEmpty == true
    if !isAboutAll, let named = topics {
      let split = named.split { Self.mayHave($0, access, allowAutoTopicCreation) }
      refused = split.denied.map(Self.refusal)
      topics = split.allowed
      // An empty list would ask for all topics in version 0.
      hasNoTopics = split.allowed.isEmpty
    }
    let (refusals, isEmpty) = (refused, hasNoTopics)
    let (ofCluster, ofTopics) = (
      includeClusterAuthorizedOperations, includeTopicAuthorizedOperations
    )
    return .amend { response in
      if isEmpty { response.topics = [] }
      if isAboutAll {
        response.topics.removeAll { topic in
          !access.may(.describe, .topic, topic.name ?? "", isAsked: false)
        }
      }
      if ofCluster {
        response.clusterAuthorizedOperations =
          access.authorizedOperations(.cluster, StandardAuthorizer.clusterName)
      }
      for place in response.topics.indices where ofTopics {
        guard let name = response.topics[place].name, response.topics[place].errorCode == 0
        else { continue }
        response.topics[place].topicAuthorizedOperations =
          access.authorizedOperations(.topic, name)
      }
      response.topics += refusals
    }
  }

  private static func mayHave(
    _ topic: MetadataRequestTopic, _ access: Access, _ mayCreate: Bool
  ) -> Bool {
    guard let name = topic.name ?? access.image.topics.name(of: topic.topicID) else { return true }
    guard access.may(.describe, .topic, name) else { return false }
    guard mayCreate, access.createsTopics, access.image.topics[name] == nil else { return true }
    return access.mayOnCluster(.create, isAsked: false) || access.may(.create, .topic, name)
  }

  /// Who asks by id is not told the name.
  private static func refusal(_ topic: MetadataRequestTopic) -> Topic {
    Topic {
      $0.errorCode = failed.rawValue
      $0.name = topic.name
      if topic.name == nil { $0.topicID = topic.topicID }
    }
  }
}

extension DescribeTopicPartitionsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DescribeTopicPartitionsResponse> {
    var refused: [DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic] = []
    if topics.isEmpty {
      topics = access.image.topics.sortedNames
        .filter { access.may(.describe, .topic, $0, isAsked: false) }
        .map { name in TopicRequest { $0.name = name } }
    } else {
      let split = topics.split { access.may(.describe, .topic, $0.name) }
      topics = split.allowed
      refused = split.denied.map { topic in
        .init {
          $0.errorCode = failed.rawValue
          $0.name = topic.name
        }
      }
    }
    let refusals = refused
    // An empty list would ask for all topics.
    if topics.isEmpty { return .refuse(.init { $0.topics = refusals }) }
    return .amend { response in
      for place in response.topics.indices where response.topics[place].errorCode == 0 {
        response.topics[place].topicAuthorizedOperations =
          access.authorizedOperations(.topic, response.topics[place].name ?? "")
      }
      response.topics += refusals
    }
  }
}

extension DescribeClusterRequest: GuardedRequest {
  /// Anybody may know the servers; what the asker may do to the cluster is the asker's own.
  public func restrict(_ access: Access, version: Int16) -> Restriction<DescribeClusterResponse> {
    guard includeClusterAuthorizedOperations else { return .serve }
    return .amend { response in
      response.clusterAuthorizedOperations =
        access.authorizedOperations(.cluster, StandardAuthorizer.clusterName)
    }
  }
}

// MARK: Creation and deletion

extension CreateTopicsRequest: GuardedRequest {
  /// CREATE on the cluster, or on each topic; its configuration is told to who may describe it.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<CreateTopicsResponse> {
    var refused: [CreateTopicsResponse.CreatableTopicResult] = []
    if !access.mayOnCluster(.create, isAsked: false) {
      let split = topics.split { access.may(.create, .topic, $0.name) }
      topics = split.allowed
      refused = split.denied.map { topic in
        .init {
          $0.name = topic.name
          $0.errorCode = failed.rawValue
          $0.errorMessage = "Authorization failed."
        }
      }
    }
    let refusals = refused
    return .amend { response in
      for place in response.topics.indices where response.topics[place].errorCode == 0 {
        let name = response.topics[place].name
        if access.may(.describeConfigs, .topic, name, isAsked: false) { continue }
        response.topics[place].topicConfigErrorCode = failed.rawValue
        response.topics[place].numPartitions = -1
        response.topics[place].replicationFactor = -1
        response.topics[place].configs = nil
      }
      response.topics += refusals
    }
  }
}

extension DeleteTopicsRequest: GuardedRequest {
  /// DELETE on each topic; who asks by id and may not describe the topic is not told its name.
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<DeleteTopicsResponse> {
    typealias Result = DeleteTopicsResponse.DeletableTopicResult
    let message = failed.message
    func refusal(_ name: String?, _ id: Uuid) -> Result {
      Result {
        $0.name = name
        $0.topicID = id
        $0.errorCode = failed.rawValue
        $0.errorMessage = message
      }
    }
    let names = topicNames.split { access.may(.delete, .topic, $0) }
    topicNames = names.allowed
    var refused = names.denied.map { refusal($0, .zero) }
    let image = access.image
    let states = topics.split { state in
      // What does not exist is for the controller to say.
      guard let name = state.name ?? image.topics.name(of: state.topicID) else { return true }
      return access.may(.delete, .topic, name)
    }
    topics = states.allowed
    refused += states.denied.map { state in
      if let name = state.name { return refusal(name, .zero) }
      let name = image.topics.name(of: state.topicID) ?? ""
      let isKnown = access.may(.describe, .topic, name, isAsked: false)
      return refusal(isKnown ? name : nil, state.topicID)
    }
    guard !refused.isEmpty else { return .serve }
    let refusals = refused
    return .amend { $0.responses += refusals }
  }
}

extension CreatePartitionsRequest: GuardedRequest {
  public mutating func restrict(
    _ access: Access, version: Int16
  ) -> Restriction<CreatePartitionsResponse> {
    topics.refuse(into: \.results) { topic in
      guard !access.may(.alter, .topic, topic.name) else { return nil }
      return CreatePartitionsResponse.CreatePartitionsTopicResult {
        $0.name = topic.name
        $0.errorCode = failed.rawValue
        $0.errorMessage = failed.message
      }
    }
  }
}
