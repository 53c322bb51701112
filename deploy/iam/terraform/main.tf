# The role of nodeeni's controller. Set oidc_provider_arn for IRSA; leave it empty for EKS Pod Identity.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.29" # aws_eks_pod_identity_association
    }
  }
}

variable "cluster_name" {
  type = string
}

variable "oidc_provider_arn" {
  type        = string
  default     = ""
  description = "ARN of the cluster's IAM OIDC provider, for IRSA"
}

variable "namespace" {
  type    = string
  default = "eni-controller-system"
}

locals {
  irsa   = var.oidc_provider_arn != ""
  issuer = local.irsa ? split("oidc-provider/", var.oidc_provider_arn)[1] : ""
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = local.irsa ? ["sts:AssumeRoleWithWebIdentity"] : ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = local.irsa ? "Federated" : "Service"
      identifiers = local.irsa ? [var.oidc_provider_arn] : ["pods.eks.amazonaws.com"]
    }

    dynamic "condition" {
      for_each = local.irsa ? {
        aud = "sts.amazonaws.com"
        sub = "system:serviceaccount:${var.namespace}:eni-controller"
      } : {}
      content {
        test     = "StringEquals"
        variable = "${local.issuer}:${condition.key}"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_iam_role" "nodeeni" {
  name_prefix        = "nodeeni-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "nodeeni" {
  role   = aws_iam_role.nodeeni.id
  policy = replace(file("${path.module}/../policy.json"), "arn:aws:", "arn:${data.aws_partition.current.partition}:")
}

resource "aws_eks_pod_identity_association" "nodeeni" {
  count           = local.irsa ? 0 : 1
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = "eni-controller"
  role_arn        = aws_iam_role.nodeeni.arn
}

output "role_arn" {
  value       = aws_iam_role.nodeeni.arn
  description = "For IRSA: --set controller.serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=..."
}
