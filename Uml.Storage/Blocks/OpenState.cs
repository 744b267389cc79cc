namespace Uml.Storage.Blocks;

/// <summary>Whether a device is open still: asked by every request, ended by the first disposal.</summary>
/// <param name="name">What errors call the device.</param>
internal sealed class OpenState(string name)
{
    private int _isClosed;

    /// <summary>Closes it.</summary>
    /// <returns>Whether it was open: the first caller has to close what is behind it.</returns>
    public bool TryClose() => Interlocked.Exchange(ref _isClosed, 1) == 0;

    /// <summary>What every request begins with.</summary>
    /// <exception cref="OperationCanceledException">The request is not wanted any more.</exception>
    /// <exception cref="BlockIOException">The device is closed.</exception>
    public void Check(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (Volatile.Read(ref _isClosed) != 0)
        {
            throw Closed(name);
        }
    }

    /// <summary>The error of a request that came too late.</summary>
    public static BlockIOException Closed(string name) => new($"{name} was closed before a request to it began.", BlockError.Gone);
}
