"""The kubelet: replicas as processes of this machine, their files, logs and limits."""
