namespace Uml.Storage.Formats.Qcow2;

/// <summary>
/// Tells when requests have ended that may still use a cluster which the tables do not refer to any more: each counts in the epoch that it
/// began in, and an epoch follows only when the one before has none left.
/// </summary>
internal sealed class Qcow2RequestEpochs
{
    private int _epoch, _even, _odd;

    /// <summary>A request begins.</summary>
    /// <returns>For <see cref="Leave"/>.</returns>
    public int Enter()
    {
        while (true)
        {
            int epoch = Volatile.Read(ref _epoch);
            Interlocked.Increment(ref CountOf(epoch));
            if (epoch == Volatile.Read(ref _epoch))
            {
                return epoch;
            }

            Interlocked.Decrement(ref CountOf(epoch));
        }
    }

    public void Leave(int epoch) => Interlocked.Decrement(ref CountOf(epoch));

    /// <summary>Begins the next epoch, if no request is left of the one before this. One caller at a time.</summary>
    public bool TryAdvance()
    {
        if (Volatile.Read(ref CountOf(_epoch + 1)) != 0)
        {
            return false;
        }

        Interlocked.Increment(ref _epoch);
        return true;
    }

    private ref int CountOf(int epoch) => ref (epoch & 1) == 0 ? ref _even : ref _odd;
}
