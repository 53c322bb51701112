// The root of this module; kubernetes-MINOR.mod is what is built (-modfile), see build.sh and pin.sh.
module nodeeni/hack/apiserver
