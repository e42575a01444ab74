"""The key of `emr.kms_key`: who may use it, what is encrypted by it, and that without it nothing is asked."""

import json

import boto3
import pyarrow as pa
import pytest
from botocore import session
from botocore.validate import ParamValidator
from pyarrow import parquet as pq

from contract.errors import UsageError
from contract.settings import EmrSettings
from contract.storage import open_root
from contract.stores.store import create_if_absent
from emr import account, cli
from emr.access import ACCESS, REPLAY, STAGES
from emr.checks.key import check_bucket_key, check_key
from emr.requests import add_attempt
from emr.security import configuration, key, key_policy
from emr.serverless.job import make_job
from emr.template.bucket import make_encryption
from emr.template.whole import write_body
from tests.emr.everything import ECR, KEY, ROOT, template_of
from tests.emr.recorder import matches
from tests.emr.test_emr_follow import ASK
from tests.emr.test_emr_requests import made as made_request

BASE = "arn:aws:kms:eu-west-1:123456789012:"
ALIAS = f"{BASE}alias/trueup"
SERVERLESS = ["emr.compute=serverless", f"emr.serverless_image={ECR}/workers:1"]
ALL = [*SERVERLESS, f"emr.driver_image={ECR}/trueup:1", "emr.create_network=true", "emr.start=machine",
       "emr.start_on=labels", f"emr.service_image={ECR}/service:1", "emr.certificates=s3://certs/nodes.zip",
       "emr.replay=true"]
NODES = (*STAGES, REPLAY)
VIA = {"s3": "s3.eu-west-1.amazonaws.com", "serverless": "emr-serverless.eu-west-1.amazonaws.com"}


def made(*overrides, of=KEY):
    return template_of(*overrides, *([f"emr.kms_key={of}"] if of else []))


def resources(*overrides, of=KEY):
    return {name: r["Properties"] for name, r in made(*overrides, of=of)["Resources"].items()}


def fits(condition, context):
    """Whether a request in this context meets IAM's condition."""
    for wanted in condition.values():
        for name, values in wanted.items():
            allowed, got = ([v] if isinstance(v, str) else v for v in (values, context.get(name, [])))
            if not any(matches(value, one) for value in allowed for one in got):
                return False
    return True


def may(role, action, on=KEY, **context):
    """Whether a role of the template may do that with a key, in the context of the request."""
    names = {"via": "kms:ViaService", "alias": "kms:ResourceAliases", "grant": "kms:GrantIsForAWSResource"}
    context = {names[name]: value for name, value in context.items()}
    statements = [s for policy in role.get("Policies", ()) for s in policy["PolicyDocument"]["Statement"]]
    return any(matches(a, action) for s in statements for a in s["Action"] if a.startswith("kms:")
               and any(isinstance(r, str) and matches(r, on) for r in s["Resource"]) and fits(s.get("Condition", {}), context))


def roles(found):
    return {name: properties for name, properties in found.items() if "AssumeRolePolicyDocument" in properties}


@pytest.mark.parametrize(("of", "context"), [(KEY, {}), (ALIAS, {"alias": "alias/trueup"})])
def test_who_reads_decrypts_who_writes_generates_and_nobody_else(of, context):
    overrides = [o for o in ALL if of == KEY or o not in SERVERLESS]
    found = roles(resources(*overrides, of=of))
    for action, field in ((key.READ, "read"), (key.WRITE, "write")):
        able = {name for name, role in found.items() if may(role, action, via=VIA["s3"], **context)}
        ours = {f"{name.capitalize()}Role" for name, access in ACCESS.items() if getattr(access, field)}
        assert able - {"ServiceRole"} == ours, action  # EMR itself makes disks, and has no right to the bucket
        for other in (f"{BASE}key/another", KEY.replace("eu-west-1", "us-west-2")):
            assert not [name for name, role in found.items() if may(role, action, on=other, via=VIA["s3"])]
    if of == ALIAS:
        assert not [name for name, role in found.items() if may(role, key.READ, via=VIA["s3"], alias="alias/other")]


def test_only_nodes_and_emr_use_the_key_without_a_service():
    found = roles(resources(*ALL))
    nodes = {f"{stage.capitalize()}Role" for stage in NODES}
    assert {name for name, role in found.items() if may(role, key.READ)} == nodes | {"ServiceRole"}
    assert {name for name, role in found.items() if may(role, "kms:CreateGrant", grant="true")} == {"ServiceRole"}
    assert not [name for name, role in found.items() if may(role, "kms:CreateGrant", grant="false")]
    assert may(found["DriverRole"], "kms:CreateGrant", grant="true", via=VIA["serverless"])
    assert not [name for name, role in found.items() if may(role, "kms:PutKeyPolicy") or may(role, "kms:ScheduleKeyDeletion")]


def test_who_mails_and_who_queues_may_encrypt_there_and_nowhere_else():
    found = roles(resources(*ALL))
    for service, name in (("sns", "MachineRole"), ("sqs", "SchedulerRole")):
        able = {n for n, role in found.items() if may(role, key.WRITE, via=f"{service}.eu-west-1.amazonaws.com")}
        assert able - {f"{stage.capitalize()}Role" for stage in NODES} - {"ServiceRole"} == {name}
        assert not may(found[name], key.WRITE, via=VIA["s3"])


def test_all_that_holds_something_is_encrypted_by_it():
    found = made(*ALL)["Resources"]
    (rule,) = found["Bucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}
    names = {"AWS::Logs::LogGroup": "KmsKeyId", "AWS::SNS::Topic": "KmsMasterKeyId", "AWS::SQS::Queue": "KmsMasterKeyId"}
    held = {name: r["Properties"].get(names[r["Type"]]) for name, r in found.items() if r["Type"] in names}
    assert held == dict.fromkeys(["DriverLogs", "NotStarted", "ServiceLogs", "Topic"], KEY)
    assert "SqsManagedSseEnabled" not in found["NotStarted"]["Properties"]
    (disk,) = found["InstanceTemplate"]["Properties"]["LaunchTemplateData"]["BlockDeviceMappings"]
    assert disk["Ebs"]["KmsKeyId"] == KEY and disk["Ebs"]["Encrypted"] is True


def test_clusters_ask_for_the_configuration_that_the_stack_makes(tmp_path):
    found = resources(*ALL)["SecurityConfiguration"]
    encryption = found["SecurityConfiguration"]["EncryptionConfiguration"]
    at_rest = encryption["AtRestEncryptionConfiguration"]
    assert at_rest["S3EncryptionConfiguration"] == {"EncryptionMode": "SSE-KMS", "AwsKmsKey": KEY}
    assert at_rest["LocalDiskEncryptionConfiguration"]["EnableEbsEncryption"] is True
    transit = encryption["InTransitEncryptionConfiguration"]["TLSCertificateConfiguration"]
    assert encryption["EnableInTransitEncryption"] and transit == {"CertificateProviderType": "PEM",
                                                                   "S3Object": "s3://certs/nodes.zip"}
    sent = made_request(tmp_path, "train", kms_key=KEY, certificates="s3://certs/nodes.zip")
    assert sent["SecurityConfiguration"] == found["Name"] and sent["LogEncryptionKmsKeyId"] == KEY
    other = made_request(tmp_path, "train", kms_key=KEY)["SecurityConfiguration"]
    assert other != found["Name"]  # EMR never changes one, so another one has another name
    alone = configuration.make_configuration(EmrSettings(certificates="s3://certs/nodes.zip"))["EncryptionConfiguration"]
    assert (alone["EnableAtRestEncryption"], alone["EnableInTransitEncryption"]) == (False, True)
    assert "AtRestEncryptionConfiguration" not in alone
    without = resources(*[o for o in ALL if "certificates" not in o])["SecurityConfiguration"]["SecurityConfiguration"]
    assert without["EncryptionConfiguration"]["EnableInTransitEncryption"] is False


def test_nodes_read_the_certificates():
    for stage in NODES:
        (policy,) = resources(*ALL)[f"{stage.capitalize()}Role"]["Policies"]
        (asked,) = [s for s in policy["PolicyDocument"]["Statement"] if s.get("Sid") == "Certificates"]
        assert asked["Action"] == ["s3:GetObject"] and asked["Resource"][0]["Fn::Sub"].endswith(":::certs/nodes.zip")


def test_workers_of_emr_serverless_have_encrypted_disks_and_logs(tmp_path):
    storage, model = open_root(str(tmp_path), create=True), session.get_session().get_service_model("emr-serverless")
    for of in (KEY, None):
        settings = EmrSettings(compute="serverless", serverless_image=f"{ECR}/workers:1", kms_key=of)
        asked = make_job(storage, ASK, add_attempt(storage, "digits", ASK), settings, "arn:aws:iam::123456789012:role/trueup-x")
        logs = asked.job["configurationOverrides"]["monitoringConfiguration"]
        keys = [asked.application.get("diskEncryptionConfiguration", {}).get("encryptionKeyArn"),
                *(logs.get(f"{kind}MonitoringConfiguration", {}).get("encryptionKeyArn")
                  for kind in ("s3", "managedPersistence"))]
        assert keys == [of] * 3
        for operation, sent in (("CreateApplication", asked.application), ("StartJobRun", {**asked.job, "applicationId": "x"})):
            assert not ParamValidator().validate(sent, model.operation_model(operation).input_shape).has_errors()


def test_somebodys_own_configuration_goes_before(tmp_path):
    assert "SecurityConfiguration" not in resources("emr.security_configuration=theirs")
    sent = made_request(tmp_path, "train", kms_key=KEY, security_configuration="theirs")
    assert sent["SecurityConfiguration"] == "theirs"
    with pytest.raises(ValueError, match="expected no security_configuration beside it"):
        EmrSettings(certificates="s3://certs/nodes.zip", security_configuration="theirs")


def test_an_alias_is_the_buckets_key_and_not_that_of_emrs_logs(tmp_path):
    assert "LogEncryptionKmsKeyId" not in made_request(tmp_path, "train", kms_key=ALIAS)
    with pytest.raises(ValueError, match="EMR Serverless takes no alias"):
        EmrSettings(kms_key=ALIAS, compute="serverless")


def test_without_a_key_nothing_names_one(tmp_path):
    chosen = [o for o in ALL if "certificates" not in o]
    body = write_body(made(*chosen, of=None))
    assert "kms" not in body.lower() and "SecurityConfiguration" not in body and '"SqsManagedSseEnabled":true' in body
    sent = json.dumps(made_request(tmp_path, "train"))
    assert "Kms" not in sent and "SecurityConfiguration" not in sent
    assert configuration.name_configuration(EmrSettings()) is None


def test_the_keys_policy_names_whoever_no_role_stands_for(capsys):
    sets = [word for o in (*ALL, f"emr.kms_key={KEY}", "emr.spot_nodes=2") for word in ("--set", o)]
    assert cli.main(["template", "--key-policy", "--root", ROOT, "--json", *sets]) == 0
    statements = json.loads(capsys.readouterr().out)["Statement"]
    named = {name for s in statements for names in s["Principal"].values() for name in names}
    linked = "arn:aws:iam::123456789012:role/aws-service-role/"
    assert named == {"cloudwatch.amazonaws.com", "events.amazonaws.com", "logs.eu-west-1.amazonaws.com",
                     f"{linked}autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
                     f"{linked}spot.amazonaws.com/AWSServiceRoleForEC2Spot"}
    (logs,) = [s for s in statements if s["Sid"] == "TrueupLogs"]
    groups = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    names = [p["LogGroupName"] for p in resources(*ALL).values() if "RetentionInDays" in p]
    assert len(names) == 2 and all(matches(groups.rpartition(":")[2], name) for name in names)
    assert len(key_policy.make_policy(EmrSettings(kms_key=KEY))) == 1 and key_policy.make_policy(EmrSettings()) == []
    assert cli.main(["template", "--key-policy", "--root", ROOT]) == 2


def test_doctor_looks_at_the_key_its_policy_and_the_buckets_default(s3_root, monkeypatch):
    monkeypatch.setattr(account, "connect", lambda service="emr": boto3.client(service))
    kms, s3, bucket = boto3.client("kms"), boto3.client("s3"), s3_root.removeprefix("s3://").partition("/")[0]
    of = kms.create_key()["KeyMetadata"]["Arn"]
    settings = EmrSettings(kms_key=of)
    (found,) = check_key(settings)
    assert found.state == "bad" and "cloudwatch.amazonaws.com, events.amazonaws.com" in found.found and "--key-policy" in found.do
    kms.put_key_policy(KeyId=of, PolicyName="default", Policy=json.dumps({"Statement": key_policy.make_policy(settings)}))
    assert [f.state for f in check_key(settings)] == ["ok"]
    assert [f.state for f in check_bucket_key(s3_root, settings)] == ["bad"]
    rule = make_encryption(settings)
    rule["ApplyServerSideEncryptionByDefault"] = rule.pop("ServerSideEncryptionByDefault")  # as the API has it
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert [f.state for f in check_bucket_key(s3_root, settings)] == ["ok"]
    kms.disable_key(KeyId=of.rpartition("/")[2])  # moto takes no ARN here
    assert [f.state for f in check_key(settings)] == ["bad"]
    assert [f.state for f in check_bucket_key("s3://no-such-bucket-of-keys/x", settings)] == ["absent"]


@pytest.mark.parametrize("wrong", ["1234abcd-12ab-34cd-56ef-1234567890ab", "alias/mine", f"{BASE}alias/aws/s3", f"{BASE}grant/x"])
def test_what_is_no_key_of_ours_is_refused(wrong):
    with pytest.raises(ValueError, match="expected the ARN of a KMS key or alias of yours"):
        EmrSettings(kms_key=wrong)


def test_a_key_of_another_region_is_refused_before_anything_is_made(emr, moto_server, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    options = ["--root", "s3://bucket-of-no-key/pre", "--set", f"emr.kms_key={KEY}", "--set", "emr.stack=keyed"]
    assert cli.main(["deploy", *options]) == 2
    assert "expected a key of eu-central-1, where the bucket is, got one of eu-west-1" in capsys.readouterr().err
    key.require_region(KEY, "eu-west-1")
    key.require_region(None, "us-west-2")
    with pytest.raises(UsageError, match="a multi-region key has a replica there"):
        key.require_region(KEY, "us-west-2")


def test_what_is_written_says_no_key_and_gets_the_buckets(s3_root, tmp_path):
    """Bytes, files in parts, exclusive creations, and pyarrow's own writes, as datasets are written."""
    client, (bucket, _, prefix) = boto3.client("s3"), s3_root.removeprefix("s3://").partition("/")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}, "BucketKeyEnabled": True}
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    storage = open_root(s3_root, create=True)
    (tmp_path / "large").write_bytes(bytes(9 << 20))
    storage.put("images/ab/1.png", b"x")
    storage.put_file("packages/x.tar.gz", tmp_path / "large")
    create_if_absent(storage, "models/m/history/00000001.json", b"{}")
    filesystem, base = storage.arrow()
    pq.write_table(pa.table({"a": [1]}), f"{base}/datasets/d/part.parquet", filesystem=filesystem)
    entries = list(storage.list(""))
    assert len(entries) >= 4
    for entry in entries:
        found = client.head_object(Bucket=bucket, Key=f"{prefix}/{entry.key}")
        assert (found.get("ServerSideEncryption"), found.get("SSEKMSKeyId")) == ("aws:kms", KEY), entry.key
