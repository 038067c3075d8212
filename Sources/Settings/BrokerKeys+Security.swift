extension ConfigTable {
  /// Broker keys: TLS, SASL, authorization and tokens.
  ///
  /// The notation is explained at `ConfigTable`.
  static let securityKeys = """
    allow.everyone.if.no.acl.found bool false * fixed medium +
      Whether a resource that no entry is about is everybody's.
    authorizer.class.name string "" * fixed low +
      Who enforces access control lists: AclAuthorizer, in KRaft mode StandardAuthorizer; or nobody.
    connection.failed.authentication.delay.ms int 100 0.. fixed low -
      connections do not authenticate yet, so none can fail to
    connections.max.reauth.ms long 0 * fixed medium -
      connections do not authenticate yet, so there is nothing to repeat
    delegation.token.expiry.check.interval.ms long 3600000 1.. fixed low +
      How often a controller looks for delegation tokens that have expired.
    delegation.token.expiry.time.ms long 86400000 1.. fixed medium +
      How long a delegation token is valid before it has to be renewed.
    delegation.token.master.key password null * fixed medium +
      Older name of delegation.token.secret.key.
    delegation.token.max.lifetime.ms long 604800000 1.. fixed medium +
      How long a delegation token can be renewed.
    delegation.token.secret.key password null * fixed medium +
      From which delegation tokens are made; the same on all nodes.
    password.encoder.cipher.algorithm string AES/CBC/PKCS5Padding * fixed low -
      no dynamic password setting is stored yet, so nothing reads this
    password.encoder.iterations int 4096 1024.. fixed low -
      no dynamic password setting is stored yet, so nothing reads this
    password.encoder.key.length int 128 8.. fixed low -
      no dynamic password setting is stored yet, so nothing reads this
    password.encoder.keyfactory.algorithm string null * fixed low -
      no dynamic password setting is stored yet, so nothing reads this
    password.encoder.old.secret password null * fixed medium -
      no dynamic password setting is stored yet, so nothing reads this
    password.encoder.secret password null * fixed medium -
      no dynamic password setting is stored yet, so nothing reads this
    principal.builder.class class \
    org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder \
    * broker medium !
      Java classes cannot be loaded; the default principal rules apply
    sasl.client.callback.handler.class class null * fixed medium !
      SASL is not supported yet: remove this key
    sasl.enabled.mechanisms list GSSAPI * broker medium !
      SASL listeners are not served yet: remove this key
    sasl.jaas.config password null * broker medium !
      SASL is not supported yet: remove this key
    sasl.kerberos.kinit.cmd string /usr/bin/kinit * broker medium -
      Kerberos (GSSAPI) is not offered, so nothing reads this
    sasl.kerberos.min.time.before.relogin long 60000 * broker medium -
      Kerberos (GSSAPI) is not offered, so nothing reads this
    sasl.kerberos.principal.to.local.rules list DEFAULT * broker medium -
      Kerberos (GSSAPI) is not offered, so nothing reads this
    sasl.kerberos.service.name string null * broker medium -
      Kerberos (GSSAPI) is not offered, so nothing reads this
    sasl.kerberos.ticket.renew.jitter double 0.05 * broker medium -
      Kerberos (GSSAPI) is not offered, so nothing reads this
    sasl.kerberos.ticket.renew.window.factor double 0.8 * broker medium -
      Kerberos (GSSAPI) is not offered, so nothing reads this
    sasl.login.callback.handler.class class null * fixed medium -
      no SASL login is made, so nothing reads this
    sasl.login.class class null * fixed medium -
      no SASL login is made, so nothing reads this
    sasl.login.connect.timeout.ms int null * fixed low -
      no SASL login is made, so nothing reads this
    sasl.login.read.timeout.ms int null * fixed low -
      no SASL login is made, so nothing reads this
    sasl.login.refresh.buffer.seconds short 300 * broker medium -
      no SASL login is made, so nothing reads this
    sasl.login.refresh.min.period.seconds short 60 * broker medium -
      no SASL login is made, so nothing reads this
    sasl.login.refresh.window.factor double 0.8 * broker medium -
      no SASL login is made, so nothing reads this
    sasl.login.refresh.window.jitter double 0.05 * broker medium -
      no SASL login is made, so nothing reads this
    sasl.login.retry.backoff.max.ms long 10000 * fixed low -
      no SASL login is made, so nothing reads this
    sasl.login.retry.backoff.ms long 100 * fixed low -
      no SASL login is made, so nothing reads this
    sasl.mechanism.controller.protocol string GSSAPI * fixed high -
      SASL is not used between servers yet, so nothing reads this
    sasl.mechanism.inter.broker.protocol string GSSAPI * broker medium -
      SASL is not used between servers yet, so nothing reads this
    sasl.oauthbearer.clock.skew.seconds int 30 * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.expected.audience list null * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.expected.issuer string null * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.jwks.endpoint.refresh.ms long 3600000 * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms long 10000 * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.jwks.endpoint.retry.backoff.ms long 100 * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.jwks.endpoint.url string null * fixed medium -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.scope.claim.name string scope * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.sub.claim.name string sub * fixed low -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.oauthbearer.token.endpoint.url string null * fixed medium -
      OAUTHBEARER is not offered, so nothing reads this
    sasl.server.callback.handler.class class null * fixed medium !
      SASL is not supported yet: remove this key
    sasl.server.max.receive.size int 524288 * fixed medium -
      no SASL exchange is served yet, so nothing reads this
    security.inter.broker.protocol string \
    PLAINTEXT \
    {PLAINTEXT,SSL,SASL_PLAINTEXT,SASL_SSL} fixed medium !
      only PLAINTEXT is spoken between brokers yet
    security.providers string null * fixed low !
      Java classes cannot be loaded: remove this key
    ssl.allow.dn.changes bool false * fixed low -
      TLS listeners are not served yet, so nothing reads this
    ssl.allow.san.changes bool false * fixed low -
      TLS listeners are not served yet, so nothing reads this
    ssl.cipher.suites list [] * broker medium -
      TLS listeners are not served yet, so nothing reads this
    ssl.client.auth string none {required,requested,none} broker medium !
      TLS listeners are not served yet: remove this key
    ssl.enabled.protocols list TLSv1.2,TLSv1.3 * broker medium -
      TLS listeners are not served yet, so nothing reads this
    ssl.endpoint.identification.algorithm string https * broker low -
      TLS is not used between servers yet, so nothing reads this
    ssl.engine.factory.class class null * broker low !
      Java classes cannot be loaded: remove this key
    ssl.key.password password null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.keymanager.algorithm string SunX509 * broker medium -
      Java key managers do not exist here
    ssl.keystore.certificate.chain password null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.keystore.key password null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.keystore.location string null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.keystore.password password null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.keystore.type string JKS * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.principal.mapping.rules string DEFAULT * fixed low !
      TLS listeners are not served yet: remove this key
    ssl.protocol string TLSv1.3 * broker medium -
      TLS listeners are not served yet, so nothing reads this
    ssl.provider string null * broker medium -
      Java security providers do not exist here
    ssl.secure.random.implementation string null * broker low -
      the random generator is the system's own
    ssl.trustmanager.algorithm string PKIX * broker medium -
      Java trust managers do not exist here
    ssl.truststore.certificates password null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.truststore.location string null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.truststore.password password null * broker medium !
      TLS listeners are not served yet: remove this key
    ssl.truststore.type string JKS * broker medium !
      TLS listeners are not served yet: remove this key
    super.users string "" * fixed medium +
      Principals that may do everything, as User:name;User:name.
    zookeeper.ssl.cipher.suites list null * fixed low +
      Cipher suites by their IANA names; the library's choice unless given.
    zookeeper.ssl.client.enable bool false * fixed medium +
      Whether connections to the coordination service are encrypted.
    zookeeper.ssl.crl.enable bool false * fixed low !
      revocation of certificates is not asked for
    zookeeper.ssl.enabled.protocols list null * fixed low +
      Protocols that may be used; zookeeper.ssl.protocol unless given.
    zookeeper.ssl.endpoint.identification.algorithm string HTTPS * fixed low +
      HTTPS compares certificates with names; empty does not.
    zookeeper.ssl.keystore.location string null * fixed medium +
      PEM or PKCS12 file with the client's key and certificates.
    zookeeper.ssl.keystore.password password null * fixed medium +
      Password of the key store.
    zookeeper.ssl.keystore.type string null * fixed medium +
      PEM or PKCS12; told by the file's name unless given.
    zookeeper.ssl.ocsp.enable bool false * fixed low !
      revocation of certificates is not asked for
    zookeeper.ssl.protocol string TLSv1.2 * fixed low +
      The protocol that is used unless enabled.protocols says otherwise.
    zookeeper.ssl.truststore.location string null * fixed medium +
      PEM or PKCS12 file with trusted certificates; the system's unless given.
    zookeeper.ssl.truststore.password password null * fixed medium +
      Password of the trust store.
    zookeeper.ssl.truststore.type string null * fixed medium +
      PEM or PKCS12; told by the file's name unless given.
    """
}
