"""The examples in the help of every command, as text, for command/examples.py; tests/command/test_examples.py reads each."""

# A command, and under it what for and what is typed.
TEXT = """
demo
    # the whole loop in the folder demo-root, then look at it
    trueup demo
    trueup serve --root demo-root --model digits --no-auth
doctor
    # is everything here that this root needs?
    trueup doctor --root s3://bucket/prefix
    # read every document and file of it, too
    trueup doctor --root demo-root --contents
serve
    # answer on port 8080; the log begins with a link for the first administrator
    trueup serve --root demo-root --model digits
    # try it without keys, on a free port
    trueup serve --root demo-root --model digits --no-auth --port 0
    # two models for other machines, log lines for programs
    trueup serve --root s3://bucket --model digits --model animals --host 0.0.0.0 --outbox /var/lib/trueup --log-format json
evaluate
    # the last 30 days
    trueup evaluate --root demo-root --model digits
    # and without each of the largest labelers and clients
    trueup evaluate --model digits --evidence recounts
    # November, counted by Spark
    trueup evaluate --model digits --from 2026-11-01 --to 2026-11-30 --engine spark
    # votes weighed by how well each labeler labels
    trueup evaluate --model digits --fit newest
    # somebody else's files, slice by slice
    trueup evaluate --model digits --predictions logs.csv --labels truth.csv --slice camera=attributes.camera
    # how accurate it is behind the mistakes of those who label
    trueup evaluate --root demo-root --model digits --evidence noise
    # what its mistakes cost
    trueup evaluate --model digits --set gates.costs=costs.csv
    # beside the figures, one estimate from all labels and all traffic
    trueup evaluate --root demo-root --model digits --evidence combined
    # have the pictures changed since the live version was trained?
    trueup evaluate --model digits --evidence pictures
gate
    # does the live version still hold? exit code 0, 3 (no) or 4 (cannot tell)
    trueup gate --root demo-root --model digits
    # only look, decide nothing
    trueup gate --model digits --dry-run
    # what another policy would have said in November, day by day
    trueup gate --model digits --what-if strict.yaml --from 2026-11-01 --to 2026-11-30
dataset
    # of what was labelled in November
    trueup dataset --model digits --from 2026-11-01 --to 2026-11-30
    # one folder a class, for another program
    trueup dataset --model digits --dataset 26c0eab1ccb3389e --imagefolder digits-november
train
    # a candidate from the live version
    trueup train --model digits --dataset 26c0eab1ccb3389e
    # a first version from torchvision's weights
    trueup train --model digits --dataset 26c0eab1ccb3389e --parent none --network resnet18 --weights-name IMAGENET1K_V1
tune
    # twenty trials from the live version, half an hour at most
    trueup tune --model digits --dataset 26c0eab1ccb3389e --trials 20 --budget 30
    # both values of the learning rate, then a candidate with the best one
    trueup tune --model digits --dataset 26c0eab1ccb3389e --sampler grid --train --set 'tune.space={lr: [0.001, 0.01]}'
    # four at a time on Spark's executors
    trueup tune --model digits --dataset 26c0eab1ccb3389e --launcher spark --parallel 4
assess
    # version 3 against what is live, on the same pictures
    trueup assess --model digits --candidate 3
publish
    # a network trained elsewhere, tried on pictures whose classes are known
    trueup publish --model digits --network resnet18 --weights w.safetensors --classes classes.txt --check pictures --expect 0.9
cycle
    # today's turn of the loop, as a scheduler runs it
    trueup cycle --root s3://bucket/prefix --model digits
    # every stage on EMR
    trueup cycle --model digits --runner emr
score
    # all new pictures of a folder
    trueup score --root demo-root --model digits --images pictures
    # those that a file lists, by version 2
    trueup score --model digits --uris uris.txt --version 2
replay
    # what version 3 would have answered in a week, beside what was
    trueup replay --root demo-root --model digits --version 3 --from 2026-11-13 --to 2026-11-19
report
    # show the newest evaluation in the browser
    trueup report --root demo-root --model digits --open
    # its tables for a spreadsheet
    trueup report --model digits --csv tables
    # two of them side by side
    trueup report 20261101T080000Z-0a1b2c3d 20261108T080000Z-4e5f6a7b --model digits
    # by class and confidence, in buckets of one's own, split labels as incorrect
    trueup report --model digits --buckets 80-85-90-95-100 --split-wrong --by-class table.csv
verify
    # a decision, its evaluation and counts, from the raw files
    trueup verify 20261120T080000Z-0a1b2c3d --model digits
    # pack what an auditor needs, who does the same without the bucket
    trueup verify 20261120T080000Z-0a1b2c3d --model digits --bundle audit.zip
    trueup verify audit.zip
    # a version, in a history that must be signed
    trueup verify 3 --model digits --public-key public.pem
model
    # which models there are
    trueup model list --root demo-root
    # what is known of version 2
    trueup model show 2 --model digits
model alias
    # version 3 computes beside the live one
    trueup model alias shadow 3 --model digits
    trueup model alias shadow --remove --model digits
model canary
    # version 3 answers a share, until it is live or withdrawn
    trueup model canary start 3 --model digits
    trueup model canary run --model digits

model canary run
    # until version 3 is live or withdrawn
    trueup model canary run --model digits

model canary start
    # version 3 answers 1% of the predictions
    trueup model canary start 3 --model digits

model canary status
    # its share, what was counted, what it waits for
    trueup model canary status --model digits

model canary step
    # the next share, whatever was counted
    trueup model canary step --model digits --reason 'we know enough of it'

model canary promote
    # live for everybody
    trueup model canary promote --model digits --reason 'approved by the lab'

model canary withdraw
    # the live version answers everything again
    trueup model canary withdraw --model digits --reason 'complaints from gate 3'

model shadow
    # would the version that computes beside the live one hold in its place?
    trueup model shadow --model digits

model approve
    # make live what a cycle waits with
    trueup model approve 3 --model digits
model convert
    # in 8 bits, compared on the pictures that version 3 was not trained on
    trueup model convert 3 --model digits --number-format int8
    # by another library, of a version that names no dataset
    trueup model convert 1 --model digits --number-format float32 --unassessed
model delete
    # remove the weights of a version that failed
    trueup model delete 3 --model digits --reason 'trained on wrong labels'
model history
    # who made what live, when and why
    trueup model history --model digits
model list
    # every model under the root
    trueup model list --root demo-root
model override
    # let the accuracy gate pass until the new camera is set up
    trueup model override --model digits --gate accuracy --until 2026-12-24 --reason 'new camera'
    # take that back
    trueup model override --model digits --gate accuracy --withdraw --reason 'camera is set up'
model promote
    # make version 2 live
    trueup model promote 2 --model digits --reason 'better on night pictures'
model reserve
    # after a restore: no number up to 7 is made again
    trueup model reserve 7 --model digits
model sign
    # vouch for what was made live so far, with a key that is not in the bucket
    trueup model sign --model digits --key key.pem
model retire
    # no version answers any more; what was logged stays
    trueup model retire --model digits --reason 'replaced by digits-2'

model show
    # the card of what is live
    trueup model show --model digits
    # of version 2
    trueup model show 2 --model digits
model thresholds
    # from which confidence on answers are accepted unseen
    trueup model thresholds show --model digits
model thresholds accept
    # the thresholds of an evaluation, per class
    trueup model thresholds accept 20261120T080000Z-0a1b2c3d --model digits
    # the lowest common one whose answers are known to be 98% right
    trueup model thresholds accept 20261120T080000Z-0a1b2c3d --model digits --target 0.98
model thresholds clear
    # answers carry no decision then
    trueup model thresholds clear --model digits --reason 'new camera'
model thresholds show
    # what is in force
    trueup model thresholds show --model digits
lineage
    # what became of an answer
    trueup lineage 0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --day 2026-11-20
    # what a version learnt from
    trueup lineage --model digits --version 2
rollback
    # the version that was live before
    trueup rollback --model digits --reason 'wrong at night'
    # version 1, whatever came since
    trueup rollback --model digits --to 1
import
    # truth that came later
    trueup import labels truth.csv --root demo-root
    # what another service answered
    trueup import predictions log.jsonl --model digits
    # one folder a class
    trueup import images pictures --model digits
import images
    # pictures/cat/1.jpg, pictures/dog/2.jpg, …
    trueup import images pictures --root demo-root --model animals
import labels
    # columns prediction_id and label
    trueup import labels truth.csv --root demo-root
    # of a file with names of its own
    trueup import labels truth.jsonl --id-field request.id --label-path annotation.class
import predictions
    # the log of another service
    trueup import predictions log.jsonl --root demo-root --model digits
    # a CSV with semicolons, all of one day and version
    trueup import predictions log.csv --delimiter ';' --model digits --model-version 4 --day 2026-11-20
review
    # ask people about 500 random pictures of yesterday
    trueup review sample --model digits --items 500
    # how well people answered what is known
    trueup review gold report --model digits
review sample
    # a random tenth of a day, for an estimate
    trueup review sample --model digits --day 2026-11-20 --kind audit --p 0.1
    # the 200 that the model was least sure of
    trueup review sample --model digits --kind review --items 200 --strategy uncertain-first
    # what the thresholds in force leave to people, before anything else
    trueup review sample --model digits --review-first
review plan
    # the 200 answers of yesterday that decide most of what the gate cannot tell
    trueup review plan --model digits --budget 200
    # what would be asked about one class, and what that would gain
    trueup review plan --model digits --budget 200 --towards class:7 --dry-run
review pick
    # the 100 pictures of the last days that training would learn most from
    trueup review pick --model digits --items 100
    # what would be sent, of one week
    trueup review pick --model digits --from 2026-11-20 --to 2026-11-27 --dry-run
review accepted
    # people's labels, and the answers above the thresholds, to train on
    trueup review accepted --model vendor --evaluation 20261119T000000Z-4bda0d7c --out labels.csv --folder accepted
items
    # the labelled predictions of the last 30 days, as rows
    trueup items --model digits
labels
    # labels of the live version's dataset that are likely wrong
    trueup labels suspects --model digits
labels suspects
    # of the live version's dataset, likeliest mistakes first
    trueup labels suspects --model digits
    # of another dataset, and ask people about the 50 likeliest, blind
    trueup labels suspects --model digits --dataset 0123456789abcdef --send 50
    # for a program
    trueup labels suspects --model digits --json
pictures
    # measure the pictures of the last 30 days
    trueup pictures measure --model digits
pictures measure
    # brightness, sharpness, size and colour of the pictures of the last 30 days
    trueup pictures measure --model digits
    # of November, on Spark
    trueup pictures measure --model digits --from 2026-11-01 --to 2026-11-30 --engine spark
labelers
    # how well each labeler labels, by the votes of the last 30 days
    trueup labelers fit --model digits
    # what that says of each
    trueup labelers show --model digits
labelers fit
    # of November, then count by it
    trueup labelers fit --model digits --from 2026-11-01 --to 2026-11-30 --name november
    trueup evaluate --model digits --fit november
    # many classes, on Spark
    trueup labelers fit --model digits --form one-coin --engine spark
labelers list
    # which fits there are
    trueup labelers list --model digits
labelers show
    # the newest
    trueup labelers show --model digits
    # one by its name, for a program
    trueup labelers show november --model digits --json
notify
    # is every address right?
    trueup notify --root demo-root --test
    # what would be said, and to whom
    trueup notify --root demo-root --dry-run
review gold
    # a picture whose class is certain
    trueup review gold add --model digits --prediction 0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --label 7
    # who answers such pictures well
    trueup review gold report --model digits
review gold add
    # one
    trueup review gold add --model digits --prediction 0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --label 7
    # many, of a CSV with prediction_id and label
    trueup review gold add known.csv --model digits
review gold list
    # what is known
    trueup review gold list --model digits
review gold remove
    # it was not certain after all
    trueup review gold remove --model digits --prediction 0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b
review gold report
    # of November
    trueup review gold report --model digits --from 2026-11-01 --to 2026-11-30
restore
    # what would come back of all that was deleted since then
    trueup restore --root s3://bucket --since 2026-11-20T08:00:00Z --dry-run
forget
    # erase the picture of an answer, wherever it is
    trueup forget 0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --reason 'asked by letter'
keys
    # a key for somebody who labels
    trueup keys add anna --role label --root demo-root
    # who has one
    trueup keys list
keys add
    # somebody who labels and looks at reports
    trueup keys add anna --role label --role read
    # a program, 50 requests a second at the most
    trueup keys add gate-camera --role predict --rate 50
keys list
    # who has a key
    trueup keys list --root demo-root
keys revoke
    # by its id, which `trueup keys list` shows
    trueup keys revoke anna-3f2a1b
emr
    # what it would create and cost, without asking AWS
    trueup emr plan --root s3://bucket/prefix --model digits
    # make it, then count there
    trueup emr deploy --root s3://bucket/prefix
    trueup evaluate --root s3://bucket/prefix --model digits --runner emr
emr deploy
    # create or update the stack
    trueup emr deploy --root s3://bucket/prefix
emr destroy
    # end all clusters and remove the stack; the bucket stays
    trueup emr destroy --root s3://bucket/prefix
emr plan
    # for a million predictions a day
    trueup emr plan --model digits --predictions-per-day 1000000
emr policy
    # what the one who deploys must be allowed to do
    trueup emr policy --root s3://bucket/prefix
emr rehearse
    # the smallest turn on a real account, for 5 dollars at the most
    trueup emr rehearse --root s3://bucket/rehearsal --ceiling 5
emr run
    # the stage train of an open run
    trueup emr run --stage train --model digits -- --dataset 26c0eab1ccb3389e
    # a search for settings, on four nodes with a GPU each
    trueup emr run --stage tune --model digits --set tune.parallel=4 -- --dataset 26c0eab1ccb3389e --trials 40
emr status
    # the stack, and the clusters that cost something now
    trueup emr status --root s3://bucket/prefix
emr template
    # the CloudFormation template, for somebody who reviews it
    trueup emr template --root s3://bucket/prefix
compact
    # what would be done with days before November
    trueup compact --root s3://bucket --before 2026-11-01 --dry-run
expire
    # what is older than the retention settings say
    trueup expire --root s3://bucket --dry-run
config
    # each setting, its value, and where that came from
    trueup config
    # with a file of another name
    trueup config --config production.yaml
status
    # all models
    trueup status --root demo-root
    # one, for a program
    trueup status --model digits --json
bench
    # compare what `make bench` wrote on two machines
    trueup bench laptop.json server.json
"""
