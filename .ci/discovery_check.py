#!/usr/bin/env python3
"""Checks recorded requests against Google's discovery documents, independently of the checker in the sandbox.

Usage: discovery_check.py FOLDER LOG...
Every line of a log is `DOCUMENT VERB PATH?QUERY [JSON]`. Findings are printed; the exit status is 1 when there are any
and 2 when there is nothing to check.
"""
import base64
import functools
import json
import os
import re
import sys
from urllib.parse import parse_qsl, urlsplit

# "Required." in descriptions that the services do not enforce.
NOT_ENFORCED = {
    ("container.v1", "UpdateNodePoolRequest", "nodeVersion"), ("container.v1", "UpdateNodePoolRequest", "imageType"),
    ("run.v2", "GoogleCloudRunV2Service", "template"), ("logging.v2", "LogEntry", "logName"),
    ("logging.v2", "LogEntry", "resource")}
NOT_ENFORCED_QUERY = {("cloudbuild.v1", "projectId")}
# Enumerations that lag behind the service.
OPEN_WORDS = {
    ("aiplatform.v1", "GoogleCloudAiplatformV1MachineSpec", "acceleratorType"),
    ("tpu.v2", "AcceleratorConfig", "type"), ("tpu.v2alpha1", "AcceleratorConfig", "type")}
# storage.v1 marks no field as output only.
STORAGE_OUTPUT = {
    "Bucket": "kind id selfLink projectNumber metageneration timeCreated updated etag generation owner locationType",
    "Object": "kind id selfLink metageneration timeCreated updated etag generation owner size mediaLink componentCount"}
OUTPUT_ONLY = re.compile(r"\s*(\[Output[ -]Only\]|Output only)", re.I)
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"
FORMATS = {
    "google-duration": r"-?\d+(\.\d{1,9})?s", "google-datetime": TIME, "date-time": TIME, "date": r"\d{4}-\d\d-\d\d",
    "int64": r"-?\d+", "uint64": r"\d+", "google-fieldmask": r"[A-Za-z0-9_.*,]*"}
RANGES = {"int32": (-2**31, 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-2**63, 2**63 - 1)}


def all_methods(node):
    yield from (node.get("methods") or {}).values()
    for resource in (node.get("resources") or {}).values():
        yield from all_methods(resource)


class Document:
    def __init__(self, folder, name):
        with open(os.path.join(folder, name + ".json"), encoding="utf-8") as file:
            self.description = json.load(file)
        self.name, self.schemas = name, self.description["schemas"]
        self.routes = []
        for method in all_methods(self.description):
            # Container's methods by zone are deprecated: those by location replace them.
            if method["id"].startswith("container.projects.zones."):
                continue
            self.routes.append((*self.route(method), method))
            for protocol in (method.get("mediaUpload") or {}).get("protocols", {}).values():
                path = protocol["path"].lstrip("/")
                self.routes.append((re.compile(re.sub(r"\\\{\\?\+?(\w+)\\\}", "[^/]+", re.escape(path))), len(path), method))

    def route(self, method):
        """A regular expression for the path as it is on the wire, and how much of it is literal."""
        pattern, literal = "", 0
        ends_in_name = method["path"].endswith("}")
        for part in re.split(r"(\{\+?[^}]+\})", self.description["servicePath"] + method["path"]):
            if not part.startswith("{"):
                pattern += re.escape(part)
                literal += len(part)
                continue
            own = method["parameters"][part.strip("{}+")].get("pattern") if part.startswith("{+") else None
            if own:
                own = own.strip("^$")
                # `{+name}:setSize` beside `{+name}`: names have no colon.
                pattern += own.replace("[^/]+", "[^/:]+") if ends_in_name else own
            else:
                pattern += "[^/]+"
        return re.compile(pattern), literal

    @functools.lru_cache(maxsize=10000)
    def method(self, verb, path):
        best = None
        for pattern, literal, method in self.routes:
            if method["httpMethod"] == verb and (best is None or literal > best[0]) and pattern.fullmatch(path):
                best = literal, method
        return best and best[1]


class Check:
    """One request; `findings` is what is wrong with it."""

    def __init__(self, document, verb, target, body):
        self.document, self.verb, self.findings = document, verb, []
        url = urlsplit(target)
        path = url.path.lstrip("/").removeprefix("download/")
        self.method = document.method(verb, path)
        if self.method is None:
            self.findings.append(f"no method {verb} {path}")
            return
        self.query(parse_qsl(url.query, keep_blank_values=True))
        request = (self.method.get("request") or {}).get("$ref")
        if request:
            if body is not None or "uploadType=media" not in url.query:
                self.message(request, {} if body is None else body, "")
        elif body not in (None, {}):
            self.findings.append("a body is sent, and the method takes none")

    def query(self, items):
        own = {k: v for k, v in self.method.get("parameters", {}).items() if v["location"] == "query"}
        known = {**self.document.description.get("parameters", {}), **own}
        names = [name for name, _ in items]
        for name, text in items:
            parameter = known.get(name)
            if parameter is None:
                self.findings.append(f"unknown query parameter {name}")
                continue
            kind = parameter.get("type")
            if kind == "boolean" and text not in ("true", "false"):
                self.findings.append(f"query parameter {name} is no boolean")
            if kind == "integer" and not re.fullmatch(r"-?\d+", text):
                self.findings.append(f"query parameter {name} is no integer")
            self.text(parameter, text, "query parameter " + name)
            if parameter.get("deprecated"):
                self.findings.append(f"deprecated query parameter {name}")
            if names.count(name) > 1 and not parameter.get("repeated"):
                self.findings.append(f"query parameter {name} comes {names.count(name)} times")
        for name, parameter in own.items():
            required = parameter.get("required") or (parameter.get("description") or "").startswith("Required")
            if required and name not in names and (self.document.name, name) not in NOT_ENFORCED_QUERY:
                self.findings.append(f"missing query parameter {name}")

    def message(self, name, value, place):
        schema = self.document.schemas[name]
        if schema.get("type") != "any":
            self.members(schema, value, place, name)

    def members(self, schema, value, place, name):
        if not isinstance(value, dict):
            self.findings.append(f"{place or 'the body'} is no object")
            return
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, member in value.items():
            here = f"{place}.{key}" if place else key
            field = properties.get(key)
            if field is None:
                if isinstance(additional, dict):
                    self.value(additional, member, here, False)
                else:
                    self.findings.append(f"unknown field {here}")
                continue
            if self.is_output_only(field, name, key):
                self.findings.append(f"output-only field {here}")
            if field.get("deprecated"):
                self.findings.append(f"deprecated field {here}")
            self.value(field, member, here, (self.document.name, name, key) in OPEN_WORDS)
        for key, field in properties.items():
            if key in value or (self.verb == "PATCH" and not place):
                continue
            required = (field.get("description") or "").startswith("Required.") or \
                self.method["id"] in (field.get("annotations") or {}).get("required", [])
            if required and not field.get("readOnly") and (self.document.name, name, key) not in NOT_ENFORCED:
                self.findings.append(f"missing field {place + '.' if place else ''}{key}")

    def is_output_only(self, field, schema, key):
        if field.get("readOnly") or OUTPUT_ONLY.match(field.get("description") or ""):
            return True
        return self.document.name == "storage.v1" and key in STORAGE_OUTPUT.get(schema, "").split()

    def value(self, field, value, place, is_open):
        if value is None:
            return
        if "$ref" in field:
            self.message(field["$ref"], value, place)
            return
        kind = field.get("type")
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if kind == "array":
            if not isinstance(value, list):
                self.findings.append(f"{place} is no list")
                return
            for index, item in enumerate(value):
                self.value(field["items"], item, f"{place}[{index}]", is_open)
        elif kind == "object":
            self.members(field, value, place, None)
        elif kind == "boolean" and not isinstance(value, bool):
            self.findings.append(f"{place} is no boolean")
        elif kind == "integer":
            low, high = RANGES.get(field.get("format"), RANGES["int64"])
            is_text = isinstance(value, str) and re.fullmatch(r"-?\d+", value)
            if not (is_integer or is_text) or not low <= int(value) <= high:
                self.findings.append(f"{place} is no {field.get('format', 'integer')}")
        elif kind == "number" and not is_number:
            self.findings.append(f"{place} is no number")
        elif kind == "string":
            if is_integer and field.get("format") in ("int64", "uint64"):
                return
            if not isinstance(value, str):
                self.findings.append(f"{place} is no string")
                return
            self.text({**field, "enum": []} if is_open else field, value, place)

    def text(self, field, text, place):
        if field.get("enum") and text not in field["enum"]:
            self.findings.append(f"{place} is {text!r}, which is none of its words")
        form = field.get("format")
        if form in FORMATS and not re.fullmatch(FORMATS[form], text):
            self.findings.append(f"{place} is {text!r}, which is no {form}")
        if form == "byte":
            try:
                base64.b64decode(text.replace("-", "+").replace("_", "/") + "==", validate=False)
            except ValueError:
                self.findings.append(f"{place} is no base64")


def main(folder, logs):
    documents, checked, wrong, seen = {}, {}, 0, set()
    for log in logs:
        with open(log, encoding="utf-8") as file:
            for line in file:
                if line in seen:
                    continue
                seen.add(line)
                name, verb, target, *body = line.rstrip("\n").split(" ", 3)
                if name not in documents:
                    documents[name] = Document(folder, name)
                check = Check(documents[name], verb, target, json.loads(body[0]) if body else None)
                checked[name] = checked.get(name, 0) + 1
                if check.findings:
                    wrong += 1
                    print(line.rstrip("\n")[:400])
                    for finding in check.findings:
                        print("    " + finding)
    summary = ", ".join(f"{name} {count}" for name, count in sorted(checked.items()))
    print(f"{sum(checked.values())} different requests ({summary}), {wrong} with findings")
    return 2 if not checked else 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
