// A push and a pull by aws-sdk-go (version 1): `GO111MODULE=off go run journey.go`.
//
// The program finds the registry by environment variables, and prints the results as JSON. This
// version of the SDK reads no endpoint from the environment, so that the program passes it.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/ecr"
)

var (
	name   = aws.String("team/app")
	parts  = [][]byte{make([]byte, 5*1024*1024), []byte("the rest")}
	config = []byte("{}")
	client *ecr.ECR
)

func digestOf(data []byte) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data))
}

// must ends the program if a request that should succeed failed.
func must[T any](answer T, err error) T {
	if err != nil {
		panic(err)
	}
	return answer
}

func codeOf[T any](_ T, err error) string {
	if failure, ok := err.(awserr.Error); ok {
		return failure.Code()
	}
	return "none"
}

func partOf(uploadID *string, first int, data []byte) *ecr.UploadLayerPartInput {
	return &ecr.UploadLayerPartInput{
		RepositoryName: name,
		UploadId:       uploadID,
		PartFirstByte:  aws.Int64(int64(first)),
		PartLastByte:   aws.Int64(int64(first + len(data) - 1)),
		LayerPartBlob:  data,
	}
}

func initiate() *string {
	return must(client.InitiateLayerUpload(&ecr.InitiateLayerUploadInput{RepositoryName: name})).UploadId
}

func completeOf(uploadID *string, digest string) *ecr.CompleteLayerUploadInput {
	return &ecr.CompleteLayerUploadInput{
		RepositoryName: name, UploadId: uploadID, LayerDigests: []*string{&digest},
	}
}

func upload(pieces ...[]byte) string {
	uploadID, first := initiate(), 0
	for _, piece := range pieces {
		answer := must(client.UploadLayerPart(partOf(uploadID, first, piece)))
		first = int(*answer.LastByteReceived) + 1
	}
	whole := digestOf(bytes.Join(pieces, nil))
	return *must(client.CompleteLayerUpload(completeOf(uploadID, whole))).LayerDigest
}

func availability(digests ...string) [][]any {
	answer := must(client.BatchCheckLayerAvailability(&ecr.BatchCheckLayerAvailabilityInput{
		RepositoryName: name, LayerDigests: aws.StringSlice(digests),
	}))
	rows := map[string][]any{}
	for _, row := range answer.Layers {
		rows[*row.LayerDigest] = []any{row.LayerAvailability, row.LayerSize}
	}
	found := [][]any{}
	for _, digest := range digests {
		found = append(found, rows[digest])
	}
	return found
}

func putOf(manifest string) *ecr.PutImageInput {
	return &ecr.PutImageInput{RepositoryName: name, ImageManifest: &manifest, ImageTag: aws.String("1.0")}
}

func download(repository *string, digest string) []byte {
	url := must(client.GetDownloadUrlForLayer(&ecr.GetDownloadUrlForLayerInput{
		RepositoryName: repository, LayerDigest: &digest,
	})).DownloadUrl
	return must(io.ReadAll(must(http.Get(*url)).Body))
}

// digestsOfOurs pulls the image that our client pushed, and returns the digests of what arrived.
func digestsOfOurs() []string {
	ours := aws.String("team/ours")
	ids := []*ecr.ImageIdentifier{{ImageTag: aws.String("1.0")}}
	got := must(client.BatchGetImage(&ecr.BatchGetImageInput{RepositoryName: ours, ImageIds: ids}))
	manifest := []byte(*got.Images[0].ImageManifest)

	type blob struct{ Digest string }
	var its struct {
		Config blob
		Layers []blob
	}
	if err := json.Unmarshal(manifest, &its); err != nil {
		panic(err)
	}
	digests := []string{digestOf(manifest)}
	for _, each := range append([]blob{its.Config}, its.Layers...) {
		digests = append(digests, digestOf(download(ours, each.Digest)))
	}
	return digests
}

func pull(seen map[string]any, manifest string, layer string) {
	tags := []*ecr.ImageIdentifier{{ImageTag: aws.String("1.0")}, {ImageTag: aws.String("2.0")}}
	got := must(client.BatchGetImage(&ecr.BatchGetImageInput{RepositoryName: name, ImageIds: tags}))
	equal, missing := []bool{}, []string{}
	for _, image := range got.Images {
		equal = append(equal, *image.ImageManifest == manifest)
	}
	for _, failure := range got.Failures {
		missing = append(missing, *failure.FailureCode)
	}
	seen["got"], seen["missing"] = equal, missing

	seen["downloaded"] = digestOf(download(name, layer)) == layer
}

func list(seen map[string]any) {
	listed, described := []string{}, []int64{}
	for _, id := range must(client.ListImages(&ecr.ListImagesInput{RepositoryName: name})).ImageIds {
		listed = append(listed, *id.ImageTag)
	}
	details := must(client.DescribeImages(&ecr.DescribeImagesInput{RepositoryName: name}))
	for _, image := range details.ImageDetails {
		described = append(described, *image.ImageSizeInBytes)
	}
	seen["listed"], seen["described"] = listed, described
}

func set(seen map[string]any, arn *string, policy string) {
	must(client.TagResource(&ecr.TagResourceInput{
		ResourceArn: arn, Tags: []*ecr.Tag{{Key: aws.String("team"), Value: aws.String("a")}},
	}))
	tags := must(client.ListTagsForResource(&ecr.ListTagsForResourceInput{ResourceArn: arn})).Tags
	seen["tags"] = []string{*tags[0].Key, *tags[0].Value}

	must(client.PutLifecyclePolicy(&ecr.PutLifecyclePolicyInput{
		RepositoryName: name, LifecyclePolicyText: &policy,
	}))
	kept := must(client.GetLifecyclePolicy(&ecr.GetLifecyclePolicyInput{RepositoryName: name}))
	seen["policy"] = *kept.LifecyclePolicyText == policy
}

func errorsOf(manifest string, layer string) (int64, []string) {
	uploadID := initiate()
	late := codeOf(client.UploadLayerPart(partOf(uploadID, 9, []byte("x"))))
	must(client.UploadLayerPart(partOf(uploadID, 0, []byte("1234"))))
	_, again := client.UploadLayerPart(partOf(uploadID, 0, []byte("1234")))
	invalid := again.(*ecr.InvalidLayerPartException)
	none, never := aws.String("team/none"), digestOf([]byte("never"))

	return *invalid.LastValidByteReceived, []string{
		late,
		invalid.Code(),
		codeOf(client.CreateRepository(&ecr.CreateRepositoryInput{RepositoryName: name})),
		codeOf(client.CompleteLayerUpload(completeOf(uploadID, layer))),
		codeOf(client.BatchCheckLayerAvailability(&ecr.BatchCheckLayerAvailabilityInput{
			RepositoryName: none, LayerDigests: []*string{&layer},
		})),
		codeOf(client.GetDownloadUrlForLayer(&ecr.GetDownloadUrlForLayerInput{
			RepositoryName: name, LayerDigest: &never,
		})),
		codeOf(client.PutImage(putOf(manifest))),
	}
}

func main() {
	endpoint := aws.NewConfig().WithEndpoint(os.Getenv("AWS_ENDPOINT_URL_ECR")).WithMaxRetries(0)
	client = ecr.New(session.Must(session.NewSession(endpoint)))
	layer := digestOf(bytes.Join(parts, nil))

	seen := map[string]any{}
	repository := must(client.CreateRepository(&ecr.CreateRepositoryInput{RepositoryName: name})).Repository
	seen["uri"] = repository.RepositoryUri
	seen["before"] = availability(layer, digestOf(config))
	seen["uploaded"] = []bool{upload(parts...) == layer, upload(config) == digestOf(config)}
	seen["after"] = availability(layer, digestOf(config))

	// An unusual indent, so that only a server that keeps the bytes returns them.
	manifest := string(must(json.MarshalIndent(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{
			"mediaType": "application/vnd.oci.image.config.v1+json",
			"digest":    digestOf(config),
			"size":      2,
		},
		"layers": []map[string]any{{
			"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
			"digest":    layer,
			"size":      5242888,
		}},
	}, "", "   ")))
	put := must(client.PutImage(putOf(manifest)))
	seen["put"] = *put.Image.ImageId.ImageDigest == digestOf([]byte(manifest))

	pull(seen, manifest, layer)
	seen["ours"] = digestsOfOurs()
	list(seen)
	set(seen, repository.RepositoryArn, os.Args[1])
	seen["resume"], seen["errors"] = errorsOf(manifest, layer)
	fmt.Println(string(must(json.Marshal(seen))))
}
