using System.Security.Cryptography.X509Certificates;

namespace Uml.Storage.Nbd.Protocol;

/// <summary>Whose certificates are accepted.</summary>
internal static class NbdTrust
{
    /// <summary>Only those that one of the authorities has signed. Private authorities publish no lists of what they have revoked.</summary>
    public static X509ChainPolicy PolicyOf(X509Certificate2Collection authorities)
    {
        X509ChainPolicy policy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(authorities);
        return policy;
    }
}
