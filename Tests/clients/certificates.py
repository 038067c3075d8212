"""Certificates for tests, made by openssl."""

import functools
import pathlib
import subprocess
import tempfile

PASSWORD = "secret-word"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@functools.cache
def certificates():
    """A folder with `ca.pem`, and for each name `.key`, `.crt`, `.pem` (both) and `.p12`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jackdaw-certificates-"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for authority in ("ca", "other-ca"):
        openssl(folder, "req", "-x509", *curve, "-keyout", f"{authority}.key", "-out",
                f"{authority}.pem", "-days", "2", "-subj", f"/CN={authority}")
    for name, subject, authority in (
            ("server", "/O=Jackdaw/CN=localhost", "ca"), ("client", "/O=Jackdaw/CN=alice", "ca"),
            ("admin", "/O=Jackdaw/CN=admin", "ca"), ("stranger", "/CN=localhost", "other-ca"),
            ("elsewhere", "/CN=elsewhere.example", "ca")):
        (folder / "names").write_text("subjectAltName=" + (
            "DNS:elsewhere.example\n" if name == "elsewhere" else "DNS:localhost,IP:127.0.0.1\n"))
        openssl(folder, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", subject)
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem",
                "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2",
                "-out", f"{name}.crt", "-extfile", "names")
        (folder / f"{name}.pem").write_text(
            (folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text())
        openssl(folder, "pkcs12", "-export", "-inkey", f"{name}.key", "-in", f"{name}.crt",
                "-certfile", f"{authority}.pem", "-out", f"{name}.p12", "-passout",
                f"pass:{PASSWORD}")
    # As a Java trust store: a certificate without a key, marked as trusted.
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem",
                    "-keystore", "trust.p12", "-storetype", "PKCS12", "-storepass", PASSWORD],
                   cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder


def tls_settings(prefix="ssl.", name="server", **more):
    """Keys of zoo.cfg, with PKCS12 stores as Java's users have them."""
    folder = certificates()
    return {
        f"{prefix}keyStore.location": folder / f"{name}.p12",
        f"{prefix}keyStore.password": PASSWORD,
        f"{prefix}trustStore.location": folder / "trust.p12",
        f"{prefix}trustStore.password": PASSWORD,
        **{f"{prefix}{key}": value for key, value in more.items()},
    }
